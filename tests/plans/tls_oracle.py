"""A small judge of mutual TLS, written from ISTIO.md 6 for one service, and importing nothing of what it judges.

It knows a mesh as documents. A step is under way while every reader, the client's clusters, the client's endpoints
and the server's listener, may see each of its writes or not, each on its own; and it looks at all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

ROOT, CLIENT, SERVICE = "istio-system", "shop", "prod"
CLIENTS = (CLIENT, SERVICE, ROOT)
HOST = "web.prod.svc.cluster.local"
PORTS = {80: 8080, 81: 8081}
SERVERS = ("v1", "v2")
"""The versions of the service's pods, by their label."""

Spec: TypeAlias = Mapping[str, Any]
Mesh: TypeAlias = Mapping[str, Spec | None]
"""The spec of each object by ``kind/namespace/name``; None for one that is not there."""
Pair: TypeAlias = tuple[str, int, str]
"""A client's namespace, a port of the service, and the version that answers."""
Box: TypeAlias = Mapping[str, tuple[Spec | None, ...]]
"""All versions of each object that somebody may see."""
Way: TypeAlias = tuple[tuple[str, ...], ...]


def accepted(mesh: Mesh, version: str, port: int) -> str:
    """Return the mode of a server on one of its ports (ISTIO.md 6.1)."""
    own = _policy(mesh, SERVICE, version)
    whole = _inherited(mesh)
    if own is None:
        return whole
    whole = _mode(own.get("mtls")) or whole
    return _mode((own.get("portLevelMtls") or {}).get(str(port))) or whole


def _inherited(mesh: Mesh) -> str:
    found = "PERMISSIVE"
    for namespace in (ROOT, SERVICE):
        found = _mode((_policy(mesh, namespace, None) or {}).get("mtls")) or found
    return found


def _policy(mesh: Mesh, namespace: str, version: str | None) -> Spec | None:
    for name, spec in mesh.items():
        if spec is not None and name.startswith(f"PeerAuthentication/{namespace}/"):
            selected = spec.get("selector", {}).get("matchLabels", {}).get("version")
            if selected == version:
                return spec
    return None


def _mode(mtls: Spec | None) -> str | None:
    mode = (mtls or {}).get("mode")
    return None if mode == "UNSET" else mode


def _rule(mesh: Mesh, client: str) -> Spec | None:
    """Return the policy of the rule that a client goes by: its own, the service's, the mesh's (ISTIO.md 3.1)."""
    for namespace in (*({client} - {ROOT}), SERVICE, ROOT):
        found = [
            (name, spec)
            for name, spec in mesh.items()
            if spec is not None and name.startswith(f"DestinationRule/{namespace}/")
        ]
        if found:
            # All there are for one host are merged; the oldest that has a policy gives it (ISTIO.md 3.3).
            ordered = [spec for name, spec in sorted(found, key=lambda one: ("safeapply" in one[0], one[0]))]
            return next((spec["trafficPolicy"] for spec in ordered if "trafficPolicy" in spec), {})
    return None


def cluster(mesh: Mesh, client: str, port: int) -> str:
    """Return what a cluster does: a mode as written, ``plain``, or ``ask`` for the endpoints' word (6.2, 6.3)."""
    policy = _rule(mesh, client) or {}
    for settings in policy.get("portLevelSettings", ()):
        if settings["port"]["number"] == port:
            policy = settings
    if "tls" in policy:
        return str(policy["tls"]["mode"])
    return "plain" if _inherited(mesh) == "DISABLE" else "ask"


def marked(mesh: Mesh, client: str, port: int, version: str) -> bool:
    """Tell whether an endpoint asks for mTLS (ISTIO.md 6.2; 6.3 on settings of a port without TLS)."""
    policy = _rule(mesh, client) or {}
    mode = policy.get("tls", {}).get("mode")
    for settings in policy.get("portLevelSettings", ()):
        if settings["port"]["number"] == port and "tls" in settings:
            mode = settings["tls"]["mode"]
    if mode is not None:
        return bool(mode == "ISTIO_MUTUAL")
    return accepted(mesh, version, PORTS[port]) != "DISABLE"


def sent(kind: str, *, mark: bool) -> str:
    """Return what goes out."""
    if kind == "ask":
        return "mtls" if mark else "plain"
    return {"ISTIO_MUTUAL": "mtls", "SIMPLE": "own"}.get(kind, "plain")


def refused(mode: str, what: str) -> bool:
    """Tell whether a server resets it (ISTIO.md 6.4)."""
    return what != "mtls" if mode == "STRICT" else what == "mtls" and mode == "DISABLE"


def conflicts(box: Box) -> frozenset[Pair]:
    """Return the pairs of which some mixture of versions makes a conflict."""
    meshes = [dict(zip(box, chosen, strict=True)) for chosen in product(*box.values())]
    return frozenset(pair for pair in product(CLIENTS, PORTS, SERVERS) if _clash(meshes, pair))


def _clash(meshes: Iterable[Mesh], pair: Pair) -> bool:
    client, port, version = pair
    seen = list(meshes)
    kinds = {cluster(mesh, client, port) for mesh in seen}
    marks = {marked(mesh, client, port, version) for mesh in seen}
    modes = {accepted(mesh, version, PORTS[port]) for mesh in seen}
    return any(refused(mode, sent(kind, mark=mark)) for mode, kind, mark in product(modes, kinds, marks))


def at(mesh: Mesh) -> Box:
    """Return a mesh at rest."""
    return {name: (spec,) for name, spec in mesh.items()}


def between(before: Mesh, after: Mesh) -> Box:
    """Return a mesh while the writes from one state to another are under way."""
    names = dict.fromkeys((*before, *after))
    return {name: tuple(_both(before.get(name), after.get(name))) for name in names}


def _both(before: Spec | None, after: Spec | None) -> Iterator[Spec | None]:
    yield before
    if before != after:
        yield after


@dataclass(frozen=True, slots=True)
class Choices:
    """The versions of every object that an order of writes may go through, the first live and the last desired."""

    versions: Mapping[str, tuple[Spec | None, ...]]

    def way(self) -> Way | None:
        """Return the writes of some way that loses nothing, step by step, or None after looking at all."""
        start = (0,) * len(self.versions)
        goal = tuple(len(several) - 1 for several in self.versions.values())
        known = conflicts(self._box(start, start))
        reached = {start}
        first: list[tuple[tuple[int, ...], Way]] = [(start, ())]
        waiting = first if not conflicts(self._box(goal, goal)) - known else []
        while waiting:
            place, way = waiting.pop(0)
            if place == goal:
                return way
            for then in product(*(range(now, end + 1) for now, end in zip(place, goal, strict=True))):
                if then not in reached and not conflicts(self._box(place, then)) - known:
                    reached.add(then)
                    waiting.append((then, (*way, tuple(self._written(place, then)))))
        return None

    def _box(self, before: tuple[int, ...], after: tuple[int, ...]) -> Box:
        return {
            name: _pair(several, now, then)
            for (name, several), now, then in zip(self.versions.items(), before, after, strict=True)
        }

    def _written(self, before: tuple[int, ...], after: tuple[int, ...]) -> Iterator[str]:
        for name, now, then in zip(self.versions, before, after, strict=True):
            if now != then:
                yield name


def _pair(several: tuple[Spec | None, ...], now: int, then: int) -> tuple[Spec | None, ...]:
    return (several[now],) if now == then else (several[now], several[then])
