"""What ``safeapply wait --for`` understands."""

from __future__ import annotations

from safeapply.errors import UsageError
from safeapply.istio.kinds import DESTINATION_RULE, GATEWAY, SERVICE, SERVICE_ENTRY, SIDECAR, VIRTUAL_SERVICE
from safeapply.plans.conditions import Condition, Deleted, RoutesShown, RuleShown, SubsetReady, SubsetUnused
from safeapply.resources.objects import GroupKind, Namespace, ResourceId

__all__ = ["condition_of"]

FORMS = (
    "subset=HOST/SUBSET, no-subset=HOST/SUBSET, virtualservice=NAMESPACE/NAME, destinationrule=NAMESPACE/NAME or "
    "delete=KIND/NAMESPACE/NAME"
)
SHORT = {"vs": VIRTUAL_SERVICE, "dr": DESTINATION_RULE, "gw": GATEWAY, "se": SERVICE_ENTRY, "svc": SERVICE}
KINDS = (VIRTUAL_SERVICE, DESTINATION_RULE, GATEWAY, SERVICE_ENTRY, SERVICE, SIDECAR)


def condition_of(text: str, namespace: Namespace) -> Condition:
    """Return the condition that a ``--for`` asks for; names without a namespace are looked for in the given one.

    Raises:
        UsageError: it makes no sense.
    """
    word, equals, value = text.partition("=")
    if not equals or not value:
        raise UsageError(f"--for={text}: write {FORMS}")
    match word.lower():
        case "subset" | "no-subset":
            host, slash, subset = value.partition("/")
            if not (host and slash and subset) or "/" in subset:
                raise UsageError(f"--for={text}: name a host and its subset, as in {word}=reviews.default/v2")
            kind = SubsetReady if word.lower() == "subset" else SubsetUnused
            return kind(host, subset, namespace)
        case "delete":
            name, _, rest = value.partition("/")
            return Deleted(_named(text, _kind(text, name), rest, namespace))
        case _:
            return _shown(text, word, value, namespace)


def _shown(text: str, word: str, value: str, namespace: Namespace) -> Condition:
    kind = _kind_named(word)
    if kind == VIRTUAL_SERVICE:
        return RoutesShown(_named(text, kind, value, namespace))
    if kind == DESTINATION_RULE:
        return RuleShown(_named(text, kind, value, namespace))
    raise UsageError(f"--for={text}: write {FORMS}")


def _named(text: str, kind: GroupKind, value: str, namespace: Namespace) -> ResourceId:
    space, slash, name = value.rpartition("/")
    if not name or "/" in space or (slash and not space):
        raise UsageError(f"--for={text}: name an object as NAMESPACE/NAME, or as NAME with -n")
    return ResourceId(kind.group, kind.kind, Namespace(space) if space else namespace, name)


def _kind(text: str, name: str) -> GroupKind:
    kind = _kind_named(name)
    if kind is None:
        known = ", ".join(one.kind.lower() for one in KINDS)
        raise UsageError(f"--for={text}: {name!r} is none of {known}; write delete=KIND/NAMESPACE/NAME")
    return kind


def _kind_named(name: str) -> GroupKind | None:
    """Return a kind by what kubectl's users call it: one, many, with its group, or in short."""
    word, _, group = name.lower().partition(".")
    for kind in KINDS:
        if word in {kind.kind.lower(), f"{kind.kind.lower()}s"} and group in {"", kind.group}:
            return kind
    return SHORT.get(word) if not group else None
