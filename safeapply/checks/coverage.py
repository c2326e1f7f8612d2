"""When one match of a VirtualService leaves nothing for a later one: it takes all requests that the later wants.

Says no where it is not sure: two regular expressions are compared by their text alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from safeapply.istio.hosts import covers as covers_host
from safeapply.resources.objects import Document
from safeapply.xds.names import Host

__all__ = ["covers"]

_STRINGS: Final = frozenset({"uri", "scheme", "method", "authority"})
_MAPS: Final = frozenset({"headers", "queryParams"})
_SETS: Final = frozenset({"gateways"})
_IGNORED: Final = frozenset({"name", "statPrefix", "ignoreUriCase"})


def covers(earlier: Document, later: Document) -> bool:
    """Tell whether every request that ``later`` wants is one that ``earlier`` takes."""
    if bool(earlier.get("ignoreUriCase")) != bool(later.get("ignoreUriCase")) and "uri" in earlier:
        return False
    return all(_implied(key, wanted, later.get(key)) for key, wanted in earlier.items() if key not in _IGNORED)


def _implied(key: str, wanted: Any, given: Any) -> bool:  # noqa: ANN401, PLR0911  any JSON; a case for each kind
    """Tell whether one condition of the earlier match holds for all that the later one wants."""
    if not wanted and wanted != 0:
        return True
    if given is None:
        return key == "uri" and wanted == {"prefix": "/"}
    if key in _STRINGS:
        return _string(wanted, given)
    if key in _MAPS:
        return all(name in given and _string(one or {}, given[name] or {}) for name, one in wanted.items())
    if key == "sniHosts":
        return all(any(covers_host(Host(one), Host(other)) for one in wanted) for other in given)
    if key in _SETS:
        return set(given) <= set(wanted)
    if key in {"sourceLabels", "withoutHeaders"}:
        return isinstance(given, Mapping) and wanted.items() <= given.items()
    return bool(wanted == given)


def _string(wanted: Mapping[str, str], given: Mapping[str, str]) -> bool:
    """Compare two string matches: exact, prefix or regex; an empty one asks only that there is a value."""
    if wanted == given or not wanted:
        return True
    prefix = wanted.get("prefix")
    if prefix is None:
        return False
    value = given.get("exact", given.get("prefix"))
    return value is not None and value.startswith(prefix)
