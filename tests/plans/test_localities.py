"""Asked part by part, for one class of each crowd, a mesh gives the same answers as asked whole for every class."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from safeapply.istio.localities import Locality
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import Labels, Proxy, ProxyClass, Role
from safeapply.istio.view import Views
from safeapply.plans.changes import changes_between
from safeapply.plans.transition import Transition, transition_of
from safeapply.resources.objects import Namespace, Resource, ResourceId
from tests.oracle import references
from tests.oracle.documents import resources
from tests.oracle.worlds import transitions
from tests.plans.worlds import SERVICES, read

STRANGER = Namespace("elsewhere")


EGRESS = (
    "./*",
    "*/*",
    "~/*",
    "a/*",
    "b/*",
    "istio-system/*",
    "*/reviews.a.svc.cluster.local",
    "./ratings.b.svc.cluster.local",
)


@st.composite
def sidecars(draw: st.DrawFn) -> Mapping[ResourceId, Resource]:
    """Draw Sidecars in any of the namespaces, for all of a namespace or for some workloads."""
    found = {}
    for space in draw(st.lists(st.sampled_from(("a", "b", "istio-system", STRANGER)), unique=True)):
        spec: dict[str, object] = {
            "egress": [{"hosts": draw(st.lists(st.sampled_from(EGRESS), min_size=1, max_size=2))}]
        }
        if draw(st.integers(0, 3)) == 0:
            spec["workloadSelector"] = {"labels": {"app": "client"}}
        one = ResourceId("networking.istio.io", "Sidecar", Namespace(space), "default")
        metadata = {"name": "default", "namespace": space}
        document = {"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": metadata, "spec": spec}
        found[one] = Resource(one, document)
    return found


@settings(max_examples=200, deadline=None)
@given(transitions(), sidecars(), sidecars())
def test_the_parts_make_up_the_whole(
    worlds: references.Transition, before: Mapping[ResourceId, Resource], after: Mapping[ResourceId, Resource]
) -> None:
    """For every class, live and desired; and no host and no route is in two parts."""
    transition = _transition(worlds, before, after)
    parts = tuple(transition.localities())
    for several in ([one for part in parts for one in part.routes], [one for part in parts for one in part.hosts]):
        assert len(several) == len(set(several))
    for state in (transition.live, transition.desired):
        shared = Views(state)
        for one in transition.classes:
            # Alone, so that no other class's answer is taken for its own.
            whole = Views(state).of(one, transition.routes, transition.hosts)
            answers = [shared.of(_first(part, one), part.routes, part.hosts) for part in parts]
            assert whole.references == frozenset().union(*(answer.references for answer in answers))
            assert whole.clusters == frozenset().union(*(answer.clusters for answer in answers))


def test_strangers_are_one_crowd() -> None:
    """Nothing tells the namespaces of a mesh apart for a host of which none of them is named."""
    live = read(SERVICES, "services.yaml")
    proxies = [_proxy(Namespace(f"team-{number}")) for number in range(50)]
    changes, _ = changes_between(live, (), {}, live)
    transition = transition_of(live, changes, proxies, mesh=MeshSettings(), offline=False)
    assert {len(crowd) for part in transition.localities() for crowd in part.crowds.values()} == {1, 50}


def _first(part: Locality, one: ProxyClass) -> ProxyClass:
    return next(first for first, crowd in part.crowds.items() if one in crowd)


def _transition(
    worlds: references.Transition, before: Mapping[ResourceId, Resource], after: Mapping[ResourceId, Resource]
) -> Transition:
    live, desired = {**resources(worlds.live), **before}, {**resources(worlds.desired), **after}
    changes, _ = changes_between(live, desired.values(), {}, live.keys() - desired.keys())
    spaces = [*map(Namespace, worlds.clients), STRANGER, Namespace("far")]
    return transition_of(live, changes, map(_proxy, spaces), mesh=MeshSettings(), offline=False)


def _proxy(namespace: Namespace) -> Proxy:
    labels = Labels.of({"app": "client"})
    return Proxy(namespace, "client", "client", Role.SIDECAR, labels, ready=True)
