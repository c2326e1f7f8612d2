"""What the API server says that it serves: versions, groups, resources. Pure.

kubectl prefers everything in one answer (``apidiscovery.k8s.io/v2``); other clients walk from group to group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from safeapply.sandbox.apiserver.kinds import POD, Kind
from safeapply.sandbox.apiserver.registry import Kinds, version_rank

__all__ = ["AGGREGATED", "VERSION", "discovery_of", "paths_of"]

VERSION: Final[Mapping[str, str]] = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0+safeapply.sandbox",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_VERBS: Final = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_CUSTOM_VERBS: Final = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
"""In this order, for what a definition brought."""


def discovery_of(kinds: Kinds, path: str, server: str, *, aggregated: bool) -> Mapping[str, Any] | None:
    """Return the discovery document of a path, or None where there is none.

    Args:
        kinds: what is served.
        path: without a slash at its end.
        server: host and port, for clients that ask where the server is.
        aggregated: whether the client takes everything at once, below ``/api`` and ``/apis``.
    """
    match path.strip("/").split("/"):
        case ["api" | "apis" as root] if aggregated:
            return _everything(kinds, core=root == "api")
        case ["api"]:
            addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server}]
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}
        case ["apis"]:
            groups = [_group(group, list(of)) for group, of in _groups(kinds) if group]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group]:
            found = [kind for kind in kinds if kind.group == group]
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, found)} if found else None
        case ["api" | "apis", *groups, version] if len(groups) < 2:  # noqa: PLR2004 - the core group has no name
            return _resources(kinds, "".join(groups), version)
        case _:
            return None


def paths_of(kinds: Kinds) -> list[str]:
    """Return what the root of the server lists."""
    versions = {f"/apis/{kind.api_version(version)}" for kind in kinds if kind.group for version in kind.versions}
    groups = {f"/apis/{kind.group}" for kind in kinds if kind.group}
    return sorted({"/api", "/api/v1", "/apis", "/healthz", "/livez", "/readyz", "/version", *groups, *versions})


def _groups(kinds: Iterable[Kind]) -> Iterator[tuple[str, Iterator[Kind]]]:
    return groupby(kinds, key=lambda kind: kind.group)


def _everything(kinds: Kinds, *, core: bool) -> Mapping[str, Any]:
    chosen = [kind for kind in kinds if core != bool(kind.group)]
    items = [_aggregated_group(group, list(of)) for group, of in _groups(chosen)]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _versions(kinds: Iterable[Kind]) -> list[str]:
    """Return the versions of a group, the preferred one first; each kind has them in that order."""
    served = dict.fromkeys(version for kind in kinds for version in kind.versions)
    return sorted(served, key=version_rank, reverse=True)


def _group(group: str, kinds: list[Kind]) -> Mapping[str, Any]:
    versions = [{"groupVersion": f"{group}/{version}", "version": version} for version in _versions(kinds)]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resources(kinds: Kinds, group: str, version: str) -> Mapping[str, Any] | None:
    found = [kind for kind in kinds if kind.group == group and version in kind.versions]
    if not found:
        return None
    resources = [resource for kind in found for resource in _resource(kind)]
    group_version = found[0].api_version(version)
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


def _resource(kind: Kind) -> Iterator[Mapping[str, Any]]:
    described = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.name,
    }
    verbs = _CUSTOM_VERBS if kind.custom else _VERBS
    names = {"shortNames": list(kind.short_names), "categories": list(kind.categories)}
    yield {**described, "verbs": verbs, **{key: value for key, value in names.items() if value}}
    for subresource in _subresources(kind):
        form = {"group": "autoscaling", "version": "v1", "kind": "Scale"} if subresource == "scale" else {}
        name = f"{kind.plural}/{subresource}"
        yield {**described, "name": name, "singularName": "", **form, "verbs": ["get", "patch", "update"]}


def _aggregated_group(group: str, kinds: list[Kind]) -> Mapping[str, Any]:
    versions = [
        {
            "version": version,
            "freshness": "Current",
            "resources": [_aggregated(kind, version) for kind in kinds if version in kind.versions],
        }
        for version in _versions(kinds)
    ]
    return {"metadata": {"name": group} if group else {}, "versions": versions}


def _aggregated(kind: Kind, version: str) -> Mapping[str, Any]:
    response = {"group": kind.group, "version": version, "kind": kind.name}
    subresources = [
        {"subresource": name, "responseKind": response, "verbs": ["get", "patch", "update"]}
        for name in _subresources(kind)
    ]
    return {
        "resource": kind.plural,
        "responseKind": response,
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": _VERBS,
        "shortNames": list(kind.short_names),
        "categories": list(kind.categories),
        "subresources": subresources,
    }


def _subresources(kind: Kind) -> tuple[str, ...]:
    served = {"portforward": kind.group_kind == POD, "scale": bool(kind.scale_path), "status": kind.has_status}
    return tuple(name for name, is_served in served.items() if is_served)
