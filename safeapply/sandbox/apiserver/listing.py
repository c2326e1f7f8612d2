"""What a list or a watch may be asked for besides its selectors: versions, and how they are meant. Pure.

Follows ``ValidateListOptions`` (apimachinery ``apis/meta/internalversion/validation``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from safeapply.sandbox.apiserver.statuses import bad_request, broken, invalid_options, too_large_version
from safeapply.sandbox.apiserver.validation.faults import Fault, forbidden_field, not_supported

__all__ = ["check_list", "check_watch"]

_MATCH: Final = "resourceVersionMatch"
_INITIAL: Final = "sendInitialEvents"
_VERSION: Final = "resourceVersion"
_OPTIONS: Final = "ListOptions"
_MATCHES: Final = ("Exact", "NotOlderThan", "")


def check_list(query: Mapping[str, str], now: int) -> int | None:
    """Return the version that a list is to be of exactly; None for the present.

    Raises:
        StatusError: 422 and 400 for what contradicts itself, 504 for a version of the future.
    """
    faults = list(_faults_of_list(query))
    if faults:
        raise invalid_options(_OPTIONS, *faults)
    text = query.get(_VERSION, "")
    if not text:
        return None
    if query.get("continue"):
        raise bad_request("specifying resource version is not allowed when using continue")
    if not text.isdecimal():
        raise bad_request(f"invalid resource version: {_unread(text)}")
    if (asked := int(text)) > now:
        raise too_large_version(asked, now)
    return asked if query.get(_MATCH) == "Exact" and asked else None


def check_watch(query: Mapping[str, str]) -> None:
    """Let pass what a watch can be asked for.

    Raises:
        StatusError: 422 for what contradicts itself, 500 for a version that is none.
    """
    match, initial = query.get(_MATCH, ""), query.get(_INITIAL)
    if initial is not None and match != "NotOlderThan":
        why = f"{_INITIAL} requires setting {_MATCH} to NotOlderThan"
        raise invalid_options(_OPTIONS, forbidden_field(_MATCH, why))
    if initial is None and match:
        why = f"{_MATCH} is forbidden for watch unless {_INITIAL} is provided"
        raise invalid_options(_OPTIONS, forbidden_field(_MATCH, why))
    if (text := query.get(_VERSION, "")) and not text.isdecimal():
        raise broken(_unread(text))


def _faults_of_list(query: Mapping[str, str]) -> Iterator[Fault]:
    match = query.get(_MATCH, "")
    if match and not query.get(_VERSION):
        yield forbidden_field(_MATCH, f"{_MATCH} is forbidden unless {_VERSION} is provided")
    elif match not in _MATCHES:
        yield not_supported(_MATCH, match, _MATCHES)
    if _INITIAL in query:
        yield forbidden_field(_INITIAL, f"{_INITIAL} is forbidden for list")


def _unread(text: str) -> str:
    return f'{_VERSION}: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
