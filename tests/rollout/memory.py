"""A cluster, Envoys and a clock in memory: real implementations of the ports, small enough to read.

The clock jumps: sleeping moves it on at once, so minutes of waiting take no time. An Envoy is a script: what it
shows from which second on.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from safeapply.errors import ClusterChangedError, ClusterUnreachableError, ProxyError, RejectedError
from safeapply.istio.kinds import POD
from safeapply.istio.proxies import Labels, Proxy, Role
from safeapply.ports import Answer, Changed, Gone, Listed, Sighting
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId
from safeapply.xds.health import HEALTH
from safeapply.xds.questions import READY

CONTROL = "BlackHoleCluster"
MAKERS = frozenset({"safeapply-lock", "safeapply-record-maker"})
"""Field managers that own nothing of what they make."""
OUTDATED = "2026-01-01T00:00:00.000Z"


class JumpingClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        """Return seconds since the test began."""
        return self.time

    def wall(self) -> datetime:
        """Return a date that moves with the seconds."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.time)

    async def sleep(self, seconds: float) -> None:
        """Move on, and let others run; of several sleepers the one with the shortest way wakes first."""
        until = self.time + seconds
        while self.time < until:
            await asyncio.sleep(0)
            self.time = min(until, self.time + 0.01)


@dataclass(frozen=True)
class Shown:
    """What an Envoy has."""

    active: frozenset[str] = frozenset()
    warming: frozenset[str] = frozenset()
    healthy: Mapping[str, int] = field(default_factory=dict)
    routes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each route configuration the clusters that its one virtual host names."""
    tcp: tuple[str, ...] = ()
    """The clusters that TCP listeners name."""
    awaited: tuple[str, ...] = ()
    """Route configurations that listeners want and that have not arrived."""
    rejected: Mapping[bytes, int] = field(default_factory=dict)
    """How many updates were refused: by ``cluster_manager.cds`` and ``listener_manager.lds``."""
    broken: bytes | None = None
    """Answered to every question instead, with status 200."""


Script = Callable[[float], Shown | None]
"""What an Envoy shows at a time; None where it cannot be reached."""


def always(shown: Shown) -> Script:
    """Return the script of an Envoy that does not change."""
    return lambda _: shown


def then(at: float, before: Shown | None, after: Shown | None) -> Script:
    """Return the script of an Envoy that changes once."""
    return lambda now: after if now >= at else before


class MemoryProxies:
    """Envoys that answer the questions of ``xds.questions`` from their scripts."""

    def __init__(self, clock: JumpingClock, scripts: Mapping[str, Script]) -> None:
        self._clock = clock
        self._scripts = scripts
        self.asked: list[tuple[float, str, str]] = []
        self.released: list[str] = []

    async def ask(self, proxy: Proxy, path: str, *, deadline: float) -> Answer:
        """Answer as Envoy 1.40 does."""
        await asyncio.sleep(0)
        self.asked.append((self._clock.now(), proxy.pod, path))
        shown = self._scripts[proxy.pod](self._clock.now())
        if shown is None:
            raise ProxyError(proxy.id, f"no answer within {deadline:g} s")
        if shown.broken is not None:
            return Answer(200, shown.broken)
        if path == READY:
            return Answer(200, b"LIVE\n")
        if path == HEALTH:
            return Answer(200, b"".join(b"%s.update_rejected: %d\n" % one for one in shown.rejected.items()))
        return Answer(200, json.dumps({"configs": _configs(shown, path)}).encode())

    async def release(self, proxy: Proxy) -> None:
        """Remember that the connection may go."""
        self.released.append(proxy.pod)


def _configs(shown: Shown, path: str) -> list[object]:
    query = {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}
    wanted = re.compile(query.get("name_regex", ".*"))
    if query.get("mask", "").startswith("dynamic_active_clusters"):
        lists = {"dynamic_active_clusters": shown.active | {CONTROL}, "dynamic_warming_clusters": shown.warming}
        found = {key: [name for name in sorted(names) if wanted.fullmatch(name)] for key, names in lists.items()}
        return [{key: [{"cluster": {"name": name}} for name in names] for key, names in found.items()}]
    if query.get("mask") == "version_info":
        return [
            {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump", "version_info": _version(shown)}
        ]
    match query["resource"]:
        case "dynamic_endpoint_configs":
            return [
                {"endpoint_config": {"cluster_name": name, "endpoints": [{"lb_endpoints": _healthy(count)}]}}
                for name, count in shown.healthy.items()
                if wanted.fullmatch(name)
            ]
        case "dynamic_route_configs":
            return [_route(name, shown.routes[name]) for name in shown.routes if wanted.fullmatch(name)]
        case "dynamic_listeners":
            return [_listener(shown)]
        case other:
            raise AssertionError(other)


def _healthy(count: int) -> list[object]:
    return [{"health_status": "HEALTHY"}] * count


def _version(shown: Shown) -> str:
    return str((shown.tcp, *shown.routes, shown.awaited))


def _route(name: str, clusters: tuple[str, ...]) -> object:
    routes = [{"route": {"cluster": cluster}} for cluster in clusters]
    hosts = [{"domains": [f"reviews.default.svc.cluster.local:{name}"], "routes": routes}]
    return {"route_config": {"name": name, "virtual_hosts": hosts}, "last_updated": f"{name} {clusters}"}


def _listener(shown: Shown) -> object:
    filters: list[object] = [{"typed_config": {"cluster": cluster}} for cluster in shown.tcp]
    filters += [{"typed_config": {"rds": {"route_config_name": name}}} for name in (*shown.routes, *shown.awaited)]
    listener = {"filter_chains": [{"filters": filters}]}
    return {
        "name": "all",
        "active_state": {"listener": listener, "last_updated": _version(shown)},
    }


class MemoryCluster:
    """An API server with resourceVersions, and pods."""

    def __init__(self, pods: Collection[str] = (), objects: Collection[Resource] = ()) -> None:
        self.pods: list[Resource] = [pod(name) for name in pods]
        self.running: Callable[[], Collection[Resource]] = lambda: self.pods
        """Which pods run at this moment."""
        self.objects: dict[ResourceId, Resource] = {one.id: one for one in objects}
        self.writes: list[str] = []
        self.version = 100
        self.user = "alice"
        """Who asks."""
        self.watched: Callable[[], Collection[Resource]] | None = None
        """Which pods a watch tells of, where it is not all that run."""
        self.silent: Callable[[], bool] = lambda: False
        """Whether lists and watches fail at this moment."""
        self.listed = 0
        """How many lists were answered, those with which watches begin among them."""
        self.watching = 0
        """How many watches were begun."""
        self.refuses: str | None = None
        """The name of an object that admission refuses."""
        self.at_write: Callable[[], None] = lambda: None
        """Called before each write is answered."""

    async def list(self, kinds: Collection[GroupKind]) -> tuple[Resource, ...]:
        """Return pods and objects of these kinds."""
        await asyncio.sleep(0)
        if self.silent():
            raise ClusterUnreachableError("nobody answers")
        self.listed += 1
        return tuple(one for one in (*self.running(), *self.objects.values()) if one.id.group_kind in kinds)

    async def watch(self, kind: GroupKind) -> AsyncGenerator[Sighting, None]:
        """Tell what there is, and every change that lasts for a turn of the loop; of pods only."""
        assert kind == POD
        self.watching += 1
        await self.list(())
        known = self._seen()
        yield Listed(tuple(known.values()))
        while True:
            await asyncio.sleep(0)
            if self.silent():
                raise ClusterUnreachableError("nobody answers")
            now = self._seen()
            for uid in known.keys() - now.keys():
                yield Gone(known[uid])
            for uid, one in now.items():
                if known.get(uid) != one:
                    yield Changed(one)
            known = now

    def _seen(self) -> dict[str, Resource]:
        return {one.metadata["uid"]: one for one in (self.watched or self.running)()}

    async def username(self) -> str:
        """Return who asks."""
        return self.user

    async def get(self, resource_id: ResourceId) -> Resource | None:
        """Return one object."""
        await asyncio.sleep(0)
        return self.objects.get(resource_id)

    async def select(
        self, kinds: Collection[GroupKind], namespaces: Collection[Namespace], selector: str
    ) -> tuple[Resource, ...]:
        """Return the objects that bear a label."""
        key, _, value = selector.partition("=")
        found = (one for one in await self.list(kinds) if one.id.namespace in {"", *namespaces})
        return tuple(one for one in found if one.labels.get(key) == value)

    async def apply(self, resource: Resource, *, dry_run: bool = False, manager: str = "") -> Resource:
        """Write an object, if its resourceVersion allows."""
        assert manager in {"", "safeapply", "safeapply-applyset", "safeapply-record", *MAKERS}
        await asyncio.sleep(0)
        if manager in MAKERS and resource.id in self.objects:
            return self.objects[resource.id]
        if resource.id.name == self.refuses:
            raise RejectedError(str(resource.id), "admission said no")
        self._check(resource)
        if dry_run:
            return resource
        self.at_write()
        self.version += 1
        metadata = {**resource.metadata, "resourceVersion": str(self.version)}
        self.objects[resource.id] = Resource(resource.id, {**resource.document, "metadata": metadata})
        self.writes.append(f"apply {resource.id.name}")
        return self.objects[resource.id]

    async def create(self, resource: Resource) -> Resource:
        """Write an object, if there is none."""
        if resource.id in self.objects:
            raise ClusterChangedError(str(resource.id), "it exists already")
        return await self.apply(resource)

    async def delete(self, resource: Resource, *, dry_run: bool = False) -> None:
        """Delete an object, if its resourceVersion allows."""
        await asyncio.sleep(0)
        self._check(resource)
        if not dry_run:
            self.objects.pop(resource.id, None)
            self.writes.append(f"delete {resource.id.name}")

    def _check(self, resource: Resource) -> None:
        live = self.objects.get(resource.id)
        if resource.resource_version and (live is None or live.resource_version != resource.resource_version):
            raise ClusterChangedError(str(resource.id), "the object has been modified")


def pod(name: str, *, ready: bool = True, uid: str = "", restarts: int = 0) -> Resource:
    """Return a pod with a sidecar."""
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [{"name": "istio-proxy", "state": {"running": {}}, "restartCount": restarts}],
    }
    return Resource(
        ResourceId("", "Pod", Namespace("default"), name),
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "uid": uid or name},
            "spec": {"containers": [{"name": "istio-proxy", "args": ["proxy", "sidecar"]}]},
            "status": status,
        },
    )


def proxy(name: str) -> Proxy:
    """Return a ready sidecar in namespace default."""
    return Proxy(Namespace("default"), name, name, Role.SIDECAR, Labels(), ready=True)
