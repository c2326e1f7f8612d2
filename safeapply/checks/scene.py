"""One state of a mesh, as the checks ask it: what Istio reads of it, who gets what, what is taken for granted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from safeapply.istio.assumptions import assumed
from safeapply.istio.classes import classes_of, traits_of
from safeapply.istio.declarations import declare
from safeapply.istio.handshakes import Handshakes
from safeapply.istio.hosts import service_host
from safeapply.istio.kinds import (
    DESTINATION_RULE,
    GATEWAY,
    POD,
    SERVICE,
    VIRTUAL_SERVICE,
    Declaration,
    DestinationRule,
    Gateway,
    Service,
    Services,
    VirtualService,
    Workload,
)
from safeapply.istio.localities import Locality, localities
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import Proxy, ProxyClass, Role, proxy_of_pod
from safeapply.istio.route_rules import Pairs
from safeapply.istio.snapshot import Snapshot, snapshot_of
from safeapply.istio.view import Views
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.xds.names import Host

__all__ = ["Scene", "Sight", "scene_of"]


@dataclass(frozen=True, slots=True)
class Sight:
    """How a state of a mesh is looked at."""

    mesh: MeshSettings = MeshSettings()  # noqa: RUF009  frozen
    offline: bool = False
    """No cluster: hosts and gateways that no file declares are taken to exist."""
    ages: Mapping[ResourceId, str] = field(default_factory=dict)
    """Creation times that are not in the objects: age decides who wins (ISTIO.md 4.10)."""
    patient: bool = False
    """A state to come: the pods that a Deployment will make count, although none of them is ready now."""
    routes: Collection[ResourceId] | None = None
    """The VirtualServices to evaluate; None for all."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One state of a mesh, evaluated."""

    resources: Mapping[ResourceId, Resource]
    snapshot: Snapshot
    sight: Sight
    classes: tuple[ProxyClass, ...]
    views: Views
    handshakes: Handshakes
    assumed: frozenset[ResourceId]
    """What nobody declared and was taken to exist."""
    pods: Mapping[Namespace, Mapping[tuple[str, str], tuple[Workload, ...]]]
    """Pods that serve, or will, by namespace and label."""

    def localities(self) -> Iterator[Locality]:
        """Yield the parts of the mesh, with the classes that nothing in a part tells apart."""
        wanted = self.sight.routes
        routes = (one.id for one in self.routes() if one.hosts and (wanted is None or one.id in wanted))
        return localities(self.snapshot, self.classes, routes)

    def routes(self) -> Iterator[VirtualService]:
        """Yield every VirtualService, delegates included."""
        return (one for one in self._declared(VIRTUAL_SERVICE) if isinstance(one, VirtualService))

    def rules(self) -> Iterator[DestinationRule]:
        """Yield every DestinationRule."""
        return (one for one in self._declared(DESTINATION_RULE) if isinstance(one, DestinationRule))

    def gateways(self) -> Iterator[Gateway]:
        """Yield every Gateway that somebody declared."""
        return (one for one in self._declared(GATEWAY) if isinstance(one, Gateway))

    def route(self, one: ResourceId) -> VirtualService | None:
        """Return a VirtualService."""
        return self.snapshot.route_versions(one)[0]

    def services(self, host: Host) -> Iterator[Service]:
        """Yield all that declare a host, visible or not, assumed ones too."""
        for one in self.snapshot.index.registry.get(host, ()):
            yield from filter(None, self.snapshot.service_versions(one, host))

    def service(self, host: Host) -> Service | None:
        """Return the Kubernetes Service of a host, where somebody declared one that selects pods."""
        found = (one for one in self.services(host) if one.id.group_kind == SERVICE and one.selector)
        return next((one for one in found if one.id not in self.assumed), None)

    def meant(self, host: Host) -> Host | None:
        """Return the host that ``reviews.prod`` was meant to be; to the letter it is nothing (ISTIO.md 2.1)."""
        name, _, rest = host.partition(".")
        full = service_host(name, Namespace(rest.removesuffix(".svc")), domain=self.sight.mesh.domain)
        return full if any(self.services(full)) else None

    def workloads(self, namespace: Namespace, labels: Pairs) -> tuple[Workload, ...]:
        """Return the pods of a namespace, or what makes them, that have all these labels."""
        by_label = self.pods.get(namespace, {})
        wanted = set(labels)
        least = min((by_label.get(pair, ()) for pair in labels), key=len, default=())
        return tuple(one for one in least if wanted <= set(one.labels))

    def spec_at(self, owner: ResourceId, *keys: str | int) -> object:
        """Return what stands in the spec of an object under some keys; None where nothing does."""
        value: object = self.resources[owner].spec
        for key in keys:
            match value, key:
                case Mapping(), str():
                    value = value.get(key)
                case list(), int() if key < len(value):
                    value = value[key]
                case _:
                    return None
        return value

    def _declared(self, kind: object) -> Iterator[Declaration]:
        for one, versions in self.snapshot.versions.items():
            if one.group_kind == kind and one not in self.assumed:
                yield from filter(None, versions)


def scene_of(resources: Mapping[ResourceId, Resource], sight: Sight) -> Scene:
    """Read every object once and evaluate nothing yet."""
    versions: dict[ResourceId, tuple[Declaration | None, ...]] = {}
    for one, resource in resources.items():
        created = sight.ages.get(one, resource.created)
        declaration = declare(resource, created=created, mesh=sight.mesh)
        if declaration is not None:
            versions[one] = (declaration,)
    extra = _granted(versions, sight) if sight.offline else {}
    versions.update({one: (declaration,) for one, declaration in extra.items()})
    snapshot = snapshot_of(versions, sight.mesh)
    views = Views(snapshot)
    return Scene(
        resources=resources,
        snapshot=snapshot,
        sight=sight,
        classes=_classes(snapshot, resources),
        views=views,
        handshakes=Handshakes(views),
        assumed=frozenset(extra),
        pods=_pods(snapshot.index.workloads, resources, sight),
    )


def _granted(
    versions: Mapping[ResourceId, tuple[Declaration | None, ...]], sight: Sight
) -> Mapping[ResourceId, Declaration]:
    """Return what is taken to exist; not so a host that can only be a short name with a dot in it."""
    spaces = {one.namespace for one in versions}
    granted = assumed(versions, sight.mesh)
    return {one: d for one, d in granted.items() if not any(map(partial(_is_dotted, spaces), _hosts(d)))}


def _is_dotted(spaces: Collection[Namespace], host: Host) -> bool:
    """Tell whether a host is ``reviews.prod`` or ``reviews.prod.svc``: taken to the letter, it is nothing."""
    name, _, rest = host.partition(".")
    space = rest.removesuffix(".svc")
    return bool(name) and "." not in space and (rest.endswith(".svc") or space in spaces)


def _hosts(one: Declaration) -> Iterable[Host]:
    return (service.host for service in one.services) if isinstance(one, Services) else ()


def _classes(snapshot: Snapshot, resources: Mapping[ResourceId, Resource]) -> tuple[ProxyClass, ...]:
    """Return the classes of a mesh, without the sidecars of namespaces in which pods run and none has a sidecar."""
    pods = [one for one in resources.values() if one.id.group_kind == POD]
    proxies: list[Proxy] = [proxy for proxy in map(proxy_of_pod, pods) if proxy is not None]
    meshed = {proxy.namespace for proxy in proxies if proxy.role is Role.SIDECAR}
    outside = {one.id.namespace for one in pods} - meshed
    possible = classes_of(snapshot, proxies, traits_of(snapshot))
    return tuple(one for one in possible if one.role is not Role.SIDECAR or one.namespace not in outside)


def _pods(
    workloads: Iterable[Workload], resources: Mapping[ResourceId, Resource], sight: Sight
) -> Mapping[Namespace, Mapping[tuple[str, str], tuple[Workload, ...]]]:
    """Index what serves: ready pods where pods are known, and else what a Deployment says it will make."""
    running = not sight.patient and any(one.group_kind == POD for one in resources)
    found: dict[Namespace, dict[tuple[str, str], list[Workload]]] = defaultdict(lambda: defaultdict(list))
    for one in workloads:
        if not running or one.id.group_kind == POD:
            for pair in one.labels:
                found[one.id.namespace][pair].append(one)
    return {space: {pair: tuple(several) for pair, several in by.items()} for space, by in found.items()}
