"""What a request may say beside its body: who writes, whether it is a trial, how a deletion goes. Pure.

Follows the validation of ``CreateOptions`` and their like (apimachinery ``apis/meta/v1/validation``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from safeapply.sandbox.apiserver.bodies import decode
from safeapply.sandbox.apiserver.statuses import bad_request, invalid_options
from safeapply.sandbox.apiserver.validation.faults import (
    forbidden_field,
    invalid_value,
    not_supported,
    required,
    too_long,
)

__all__ = ["DeleteOptions", "WriteOptions", "delete_options_of", "write_options_of"]

_LONGEST_MANAGER: Final = 128
_POLICIES: Final = ("Foreground", "Background", "Orphan")
_VALIDATIONS: Final = ("", "Ignore", "Strict", "Warn")
_FALSE: Final = frozenset({"false", "0"})
"""What Go's conversion of a query takes for no; all else is yes."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How something is written."""

    manager: str
    dry_run: bool = False
    strict: bool = False
    """Whether fields that the kind does not have are refused, and not only dropped."""
    force: bool = False

    @property
    def as_arguments(self) -> dict[str, Any]:
        """Return them as the store's verbs take them."""
        return {"manager": self.manager, "dry_run": self.dry_run, "strict": self.strict}


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How something is deleted."""

    dry_run: bool = False
    preconditions: Mapping[str, Any] = field(default_factory=dict)
    propagation: str = ""
    grace: int | None = None


def write_options_of(kind: str, query: Mapping[str, str], agent: str, *, applies: bool = False) -> WriteOptions:
    """Return the options in a query.

    Args:
        kind: how error messages call them: ``PatchOptions``.
        query: the parameters of the request.
        agent: the program that asks, which is the manager where none is named.
        applies: whether it is a server-side apply, which needs a manager.

    Raises:
        StatusError: 422.
    """
    manager = query.get("fieldManager", "")
    if applies and not manager:
        raise invalid_options(kind, required("fieldManager", "is required for apply patch"))
    if len(manager.encode()) > _LONGEST_MANAGER:
        raise invalid_options(kind, too_long("fieldManager", _LONGEST_MANAGER))
    if "force" in query and not applies:
        raise invalid_options(kind, forbidden_field("force", "may not be specified for non-apply patch"))
    dry_run = [query["dryRun"]] if query.get("dryRun") else []
    _check_dry_run(kind, dry_run)
    if (validation := query.get("fieldValidation", "")) not in _VALIDATIONS:
        raise invalid_options(kind, not_supported("fieldValidation", validation, _VALIDATIONS))
    who = manager or agent.partition("/")[0] or "unknown"
    force = query.get("force", "0") not in _FALSE
    return WriteOptions(who, bool(dry_run), strict=validation == "Strict", force=force)


def delete_options_of(query: Mapping[str, str], body: bytes, content_type: str) -> DeleteOptions:
    """Return the options in a body, or without one in a query.

    Raises:
        StatusError: 400 where they cannot be read, 422 where they are none.
    """
    said = _in_body(body, content_type) if body.strip() else _in_query(query)
    dry_run, propagation = said.get("dryRun") or [], said.get("propagationPolicy") or ""
    _check_dry_run("DeleteOptions", dry_run)
    orphans = said.get("orphanDependents")
    if propagation and orphans is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        raise invalid_options("DeleteOptions", invalid_value("propagationPolicy", propagation, why))
    if propagation and propagation not in _POLICIES:
        raise invalid_options("DeleteOptions", not_supported("propagationPolicy", propagation, (*_POLICIES, "nil")))
    if orphans is not None:
        propagation = "Orphan" if orphans else "Background"
    grace = said.get("gracePeriodSeconds")
    return DeleteOptions(bool(dry_run), said.get("preconditions") or {}, propagation, grace)


def _check_dry_run(kind: str, dry_run: list[str]) -> None:
    if dry_run not in ([], ["All"]):
        raise invalid_options(kind, not_supported("dryRun", dry_run, ("All",)))


def _in_query(query: Mapping[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = {"propagationPolicy": query.get("propagationPolicy", "")}
    if query.get("dryRun"):
        said["dryRun"] = [query["dryRun"]]
    if (seconds := query.get("gracePeriodSeconds")) is not None:
        if not seconds.lstrip("-").isdecimal():
            raise bad_request(f'strconv.ParseInt: parsing "{seconds}": invalid syntax')
        said["gracePeriodSeconds"] = int(seconds)
    return said


def _in_body(body: bytes, content_type: str) -> dict[str, Any]:
    said = decode(body, content_type, head="couldn't get version/kind; json parse error: ")
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value")
    if (kind := said.get("kind", "DeleteOptions")) != "DeleteOptions":
        raise bad_request(f'no kind "{kind}" is registered for version "{said.get("apiVersion", "")}" in scheme')
    for name, wanted, spoken in (("gracePeriodSeconds", int, "int64"), ("preconditions", dict, "v1.Preconditions")):
        if not isinstance(said.get(name) or wanted(), wanted):
            where = f"Go struct field DeleteOptions.{name} of type {spoken}"
            raise bad_request(f"json: cannot unmarshal string into {where}")
    return said
