"""Asked part by part, for one class of each crowd, a mesh gives the same answers as asked whole for every class."""

from __future__ import annotations

from hypothesis import given, settings

from safeapply.istio.proxies import Labels, Proxy, Role
from safeapply.istio.snapshot import MeshSettings
from safeapply.istio.view import Views
from safeapply.plans.changes import changes_between
from safeapply.plans.transition import Transition, transition_of
from safeapply.plans.versions import Stage
from safeapply.resources.objects import Namespace
from tests.oracle import references
from tests.oracle.documents import resources
from tests.oracle.worlds import transitions
from tests.plans.worlds import SERVICES, read

STRANGER = Namespace("elsewhere")


@settings(max_examples=150, deadline=None)
@given(transitions())
def test_the_parts_make_up_the_whole(worlds: references.Transition) -> None:
    """For every class, live and desired; and no host and no route is in two parts."""
    transition = _transition(worlds)
    parts = tuple(transition.localities())
    for several in ([one for part in parts for one in part.routes], [one for part in parts for one in part.hosts]):
        assert len(several) == len(set(several))
    for stage in (Stage.LIVE, Stage.DESIRED):
        views = Views(transition.all_at(stage))
        for one in transition.classes:
            whole = views.of(one, transition.routes, transition.hosts)
            answers = [
                views.of(
                    next(first for first, crowd in part.crowds.items() if one in crowd), part.routes, part.hosts
                )
                for part in parts
            ]
            assert whole.references == frozenset().union(*(answer.references for answer in answers))
            assert whole.clusters == frozenset().union(*(answer.clusters for answer in answers))


def test_strangers_are_one_crowd() -> None:
    """Nothing tells the namespaces of a mesh apart for a host of which none of them is named."""
    live = read(SERVICES, "services.yaml")
    proxies = [_proxy(Namespace(f"team-{number}")) for number in range(50)]
    changes, _ = changes_between(live, (), {}, live)
    transition = transition_of(live, changes, proxies, mesh=MeshSettings(), offline=False)
    assert {len(crowd) for part in transition.localities() for crowd in part.crowds.values()} == {1, 50}


def _transition(worlds: references.Transition) -> Transition:
    live, desired = resources(worlds.live), resources(worlds.desired)
    changes, _ = changes_between(live, desired.values(), {}, live.keys() - desired.keys())
    spaces = [*map(Namespace, worlds.clients), STRANGER]
    return transition_of(live, changes, map(_proxy, spaces), mesh=MeshSettings(), offline=False)


def _proxy(namespace: Namespace) -> Proxy:
    return Proxy(namespace, "client", "client", Role.SIDECAR, Labels(), ready=True)
