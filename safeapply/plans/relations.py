"""Who needs whom, of the objects that a rollout writes, at one end of it: all of them live, or all as desired.

Each function tells one rule as pairs of a *user* and its *provider*, and knows nothing of order: ``kind_order``
compares both ends and puts what is needed before what needs it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from safeapply.istio.kinds import POD, SERVICE, VIRTUAL_SERVICE, WORKLOAD_KINDS
from safeapply.istio.snapshot import Index
from safeapply.plans.policies import AUTHORIZATION_POLICY, REQUEST_AUTHENTICATION, overlap, uses_tokens
from safeapply.plans.references import KUBERNETES_GATEWAY, ROUTE_KINDS, Directory, Named, named_by, values
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId
from safeapply.xds.names import ClusterName, Host, parse_cluster

__all__ = [
    "DEFINITION",
    "NAMESPACE",
    "REFERENCE_GRANT",
    "End",
    "Pair",
    "authenticated",
    "bound",
    "contained",
    "governed",
    "granted",
    "named",
    "patched",
    "secured",
    "selected",
    "waypointed",
]

NAMESPACE: Final = GroupKind("", "Namespace")
DEFINITION: Final = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")
REFERENCE_GRANT: Final = GroupKind("gateway.networking.k8s.io", "ReferenceGrant")
BACKEND_TLS_POLICY: Final = GroupKind("gateway.networking.k8s.io", "BackendTLSPolicy")
ENVOY_FILTER: Final = GroupKind("networking.istio.io", "EnvoyFilter")
BINDINGS: Final = tuple(
    GroupKind("rbac.authorization.k8s.io", kind) for kind in ("RoleBinding", "ClusterRoleBinding")
)
GOVERNING: Final = (
    GroupKind("", "LimitRange"),
    GroupKind("", "ResourceQuota"),
    GroupKind("networking.k8s.io", "NetworkPolicy"),
)
"""What limits the pods of its namespace, from their start."""
PODS: Final = (*WORKLOAD_KINDS, POD, GroupKind("batch", "Job"), GroupKind("batch", "CronJob"))

WAYPOINT: Final = "istio.io/use-waypoint"

Pair: TypeAlias = tuple[ResourceId, ResourceId]
"""A user and its provider."""


class End:
    """The objects that a rollout writes, at one end of it."""

    def __init__(self, resources: Iterable[Resource], *, root_namespace: Namespace, index: Index) -> None:
        self.resources: Mapping[ResourceId, Resource] = {one.id: one for one in resources}
        self.root_namespace = root_namespace
        self.index = index
        self.directory = Directory(self.resources)
        self.names: Mapping[ResourceId, frozenset[Named]] = {
            one: named_by(resource) for one, resource in self.resources.items()
        }
        self._by_kind: dict[GroupKind, list[Resource]] = defaultdict(list)
        for one in self.resources.values():
            self._by_kind[one.id.group_kind].append(one)

    def of(self, *kinds: GroupKind) -> Iterator[Resource]:
        """Yield the objects of some kinds."""
        for kind in kinds:
            yield from self._by_kind.get(kind, ())

    def by_namespace(self, *kinds: GroupKind) -> Mapping[Namespace, list[Resource]]:
        """Return the objects of some kinds by where they stand."""
        found: dict[Namespace, list[Resource]] = defaultdict(list)
        for one in self.of(*kinds):
            found[one.id.namespace].append(one)
        return found


def contained(end: End) -> Iterator[Pair]:
    """Tell which namespace and which definition an object cannot be without."""
    spaces = {one.id.name: one.id for one in end.of(NAMESPACE)}
    definitions = {
        GroupKind(str(one.spec.get("group")), str(kind)): one.id
        for one in end.of(DEFINITION)
        for kind in values(one.spec, ("names", "kind"))
    }
    if not spaces and not definitions:
        return
    for one in end.resources:
        holders = (spaces.get(one.namespace), definitions.get(one.group_kind))
        yield from ((one, holder) for holder in holders if holder is not None)


def named(end: End) -> Iterator[Pair]:
    """Tell what an object names (ISTIO.md 5.6, 5.12, 5.23, 5.26 to 5.29)."""
    for one, names in end.names.items():
        yield from ((one, provider) for name in names for provider in end.directory.find(name))


def granted(end: End) -> Iterator[Pair]:
    """Tell which ReferenceGrant lets an object name something in another namespace (ISTIO.md 5.28)."""
    grants: dict[tuple[str, str, Namespace], list[ResourceId]] = defaultdict(list)
    for grant in end.of(REFERENCE_GRANT):
        for source in values(grant.spec, ("from", "[]")):
            if isinstance(source, Mapping):
                grants[str(source.get("kind")), str(source.get("namespace")), grant.id.namespace].append(grant.id)
    for one, names in end.names.items() if grants else ():
        spaces = {name.namespace for name in names} - {one.namespace, None}
        yield from ((one, grant) for to in spaces if to for grant in grants.get((one.kind, one.namespace, to), ()))


def secured(end: End) -> Iterator[Pair]:
    """Tell which BackendTLSPolicy makes a route speak TLS with its Services (ISTIO.md 5.29)."""
    policies: dict[tuple[Namespace | None, str], list[ResourceId]] = defaultdict(list)
    for policy in end.of(BACKEND_TLS_POLICY):
        for name in (name for name in end.names[policy.id] if name.kind == SERVICE.kind):
            policies[name.namespace, name.name].append(policy.id)
    for route in end.of(*ROUTE_KINDS) if policies else ():
        for name in (name for name in end.names[route.id] if name.kind == SERVICE.kind):
            yield from ((route.id, one) for one in policies.get((name.namespace, name.name), ()))


def authenticated(end: End) -> Iterator[Pair]:
    """Tell whose checked tokens a policy or a route asks for (ISTIO.md 5.17, 5.18)."""
    providers = end.by_namespace(REQUEST_AUTHENTICATION)
    if not providers:
        return
    for one in end.of(AUTHORIZATION_POLICY, VIRTUAL_SERVICE):
        if not uses_tokens(one):
            continue
        everywhere = one.id.namespace == end.root_namespace or one.id.group_kind == VIRTUAL_SERVICE
        spaces = providers if everywhere else dict.fromkeys((one.id.namespace, end.root_namespace))
        near = (provider for space in spaces for provider in providers.get(space, ()))
        # A route runs on gateways, and their labels are not its selector.
        yield from ((one.id, p.id) for p in near if one.id.group_kind == VIRTUAL_SERVICE or overlap(one, p))


def bound(end: End) -> Iterator[Pair]:
    """Tell which binding gives rights to the account that pods run as."""
    bindings: dict[tuple[str, str], list[ResourceId]] = defaultdict(list)
    for one in end.of(*BINDINGS):
        for subject in values(one.document, ("subjects", "[]")):
            if isinstance(subject, Mapping) and subject.get("kind") == "ServiceAccount":
                bindings[str(subject.get("namespace") or one.id.namespace), str(subject.get("name"))].append(one.id)
    for pods in end.of(*PODS) if bindings else ():
        for name in end.names[pods.id]:
            if name.kind == "ServiceAccount":
                yield from ((pods.id, binding) for binding in bindings.get((pods.id.namespace, name.name), ()))


def governed(end: End) -> Iterator[Pair]:
    """Tell what limits the pods of a namespace from their start."""
    limits = end.by_namespace(*GOVERNING)
    for pods in end.of(*PODS) if limits else ():
        yield from ((pods.id, limit.id) for limit in limits.get(pods.id.namespace, ()))


def selected(end: End) -> Iterator[Pair]:
    """Tell which Service finds pods: it stands in their environment only if it is there before them."""
    selectors = {one.id: _pairs(one.spec.get("selector")) for one in end.of(SERVICE)}
    common = Counter((one.namespace, pair) for one, pairs in selectors.items() for pair in pairs)
    by_label: dict[tuple[Namespace, tuple[str, str]], list[ResourceId]] = defaultdict(list)
    for one, pairs in selectors.items():
        if pairs:
            # Looked up by the rarest of its labels, of which a release may give one and the same to everything.
            by_label[min(((one.namespace, pair) for pair in pairs), key=common.__getitem__)].append(one)
    for pods in end.of(*WORKLOAD_KINDS) if by_label else ():
        labels = {pair for found in values(pods.spec, ("template", "metadata", "labels")) for pair in _pairs(found)}
        near = (one for pair in labels for one in by_label.get((pods.id.namespace, pair), ()))
        yield from ((pods.id, one) for one in near if selectors[one] <= labels)


def patched(end: End) -> Iterator[Pair]:
    """Tell whose clusters and virtual hosts an EnvoyFilter patches (ISTIO.md 5.22)."""
    for one in end.of(ENVOY_FILTER):
        for host in _hosts(one):
            found = (
                *end.index.registry.get(host, ()),
                *end.index.rules.get(host, ()),
                *end.index.routes.get(host, ()),
            )
            yield from ((one.id, provider) for provider in found if provider in end.resources)


def waypointed(end: End) -> Iterator[Pair]:
    """Tell which waypoint a label sends requests to (ISTIO.md 5.30)."""
    waypoints = {(one.id.namespace, one.id.name): one.id for one in end.of(KUBERNETES_GATEWAY)}
    for one in end.of(NAMESPACE, SERVICE) if waypoints else ():
        own = one.id.namespace or one.id.name
        space = Namespace(str(one.labels.get(f"{WAYPOINT}-namespace") or own))
        provider = waypoints.get((space, str(one.labels.get(WAYPOINT, ""))))
        if provider is not None:
            yield one.id, provider


def _hosts(patches: Resource) -> Iterator[Host]:
    for match in values(patches.spec, ("configPatches", "[]", "match")):
        yield from (Host(str(host)) for host in values(match, ("cluster", "service")))
        for name in values(match, ("cluster", "name")):
            parts = parse_cluster(ClusterName(str(name)))
            yield from (parts.host,) if parts else ()
        for name in values(match, ("routeConfiguration", "vhost", "name")):
            yield Host(str(name).rpartition(":")[0])


def _pairs(labels: object) -> frozenset[tuple[str, str]]:
    return frozenset((str(k), str(v)) for k, v in labels.items()) if isinstance(labels, Mapping) else frozenset()
