"""Rights as the Roles, ClusterRoles and bindings that grant them, for ``kubectl apply -f``. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import yaml

from safeapply.plans.rights import EVERYWHERE, Right
from safeapply.resources.objects import GroupKind, Namespace
from safeapply.resources.plurals import plural_of

__all__ = ["Subject", "manifests_of", "rbac_yaml"]

_GROUP: Final = "rbac.authorization.k8s.io"
_VERBS: Final = ("get", "list", "watch", "create", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Subject:
    """Who gets the rights."""

    kind: str
    """User, Group or ServiceAccount."""
    name: str
    namespace: str = ""

    @property
    def username(self) -> str:
        """Whom the API server takes this subject for; empty for a group, which is nobody in particular."""
        match self.kind:
            case "User":
                return self.name
            case "ServiceAccount":
                return f"system:serviceaccount:{self.namespace}:{self.name}"
            case _:
                return ""

    def to_document(self) -> dict[str, str]:
        """Return it as bindings have it."""
        if self.kind == "ServiceAccount":
            return {"kind": self.kind, "name": self.name, "namespace": self.namespace}
        return {"apiGroup": _GROUP, "kind": self.kind, "name": self.name}


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule of a role, and what it is for."""

    why: tuple[str, ...]
    group: str
    resources: tuple[str, ...]
    names: tuple[str, ...]
    verbs: tuple[str, ...]

    def to_document(self) -> dict[str, Any]:
        told: dict[str, Any] = {"apiGroups": [self.group], "resources": list(self.resources)}
        return told | ({"resourceNames": list(self.names)} if self.names else {}) | {"verbs": list(self.verbs)}


def rbac_yaml(
    rights: Iterable[Right],
    *,
    name: str,
    subjects: Sequence[Subject] = (),
    plural: Callable[[GroupKind], str] = plural_of,
) -> str:
    """Return the roles that grant exactly these rights, each rule under what it is for.

    Args:
        rights: what is to be granted.
        name: of all roles and bindings.
        subjects: to whom; nobody yet, if empty.
        plural: how the API calls the collection of a kind.
    """
    parts: list[str] = []
    for namespace, rules in _roles(rights, plural):
        head = _head("ClusterRole" if namespace == EVERYWHERE else "Role", name, namespace)
        listed = "".join(_commented(rule) for rule in rules)
        parts.append(f"{_dumped(head)}rules:\n{listed}")
        if subjects:
            parts.append(_dumped(_binding(head, subjects)))
    return "---\n".join(parts)


def manifests_of(text: str) -> list[dict[str, Any]]:
    """Return the documents of what ``rbac_yaml`` wrote."""
    return list(yaml.safe_load_all(text))


def _roles(rights: Iterable[Right], plural: Callable[[GroupKind], str]) -> Iterator[tuple[Namespace, list[_Rule]]]:
    """Yield the rules of each namespace, all namespaces first."""
    by_namespace: dict[Namespace, list[Right]] = defaultdict(list)
    for right in _needed(dict.fromkeys(rights)):
        by_namespace[right.namespace].append(right)
    for namespace in sorted(by_namespace):
        yield namespace, _merged(by_namespace[namespace], plural)


def _needed(rights: Collection[Right]) -> Iterator[Right]:
    """Yield what no other right gives already: in one namespace what is given in all."""
    given = {
        (one.kind, one.subresource, verb)
        for one in rights
        if one.namespace == EVERYWHERE and not one.names
        for verb in one.verbs
    }
    for one in rights:
        left = tuple(verb for verb in one.verbs if (one.kind, one.subresource, verb) not in given)
        if one.namespace == EVERYWHERE and not one.names:
            yield one
        elif left:
            yield replace(one, verbs=left)


def _merged(rights: Iterable[Right], plural: Callable[[GroupKind], str]) -> list[_Rule]:
    """Return as few rules as tell the same: verbs of one resource together, then resources with the same verbs."""
    verbs: dict[tuple[str, str, tuple[str, ...]], set[str]] = defaultdict(set)
    why: dict[tuple[str, str, tuple[str, ...]], dict[str, None]] = defaultdict(dict)
    for right in rights:
        below = f"/{right.subresource}" if right.subresource else ""
        key = (right.kind.group, plural(right.kind) + below, right.names)
        verbs[key].update(right.verbs)
        why[key][right.why] = None
    alike: dict[tuple[tuple[str, ...], str, tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for key, several in verbs.items():
        group, resource, names = key
        alike[tuple(why[key]), group, names, tuple(sorted(several, key=_VERBS.index))].append(resource)
    return [
        _Rule(reasons, group, tuple(sorted(resources)), names, ordered)
        for (reasons, group, names, ordered), resources in alike.items()
    ]


def _head(kind: str, name: str, namespace: Namespace) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": str(namespace)} if namespace else {})
    return {"apiVersion": f"{_GROUP}/v1", "kind": kind, "metadata": metadata}


def _binding(role: dict[str, Any], subjects: Sequence[Subject]) -> dict[str, Any]:
    reference = {"apiGroup": _GROUP, "kind": role["kind"], "name": role["metadata"]["name"]}
    listed = [subject.to_document() for subject in subjects]
    return {**role, "kind": f"{role['kind']}Binding", "roleRef": reference, "subjects": listed}


def _commented(rule: _Rule) -> str:
    return "".join(f"# {why}\n" for why in rule.why) + _dumped([rule.to_document()])


def _dumped(value: object) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, default_flow_style=None, width=116)
    return text
