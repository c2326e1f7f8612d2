"""The oracle's model of time, on the outages that ENVOY.md and ISTIO.md measured."""

from __future__ import annotations

from tests.oracle.delivery import (
    Look,
    Lost,
    Sight,
    Step,
    Write,
    counted_requests,
    final_world,
    lost_request,
    reachable_states,
)
from tests.oracle.model import Cluster, Subset, World
from tests.oracle.stories import REVIEWS, A, B, drop, put, route, rule, world
from tests.oracle.translation import Request

V1, V2 = Cluster(REVIEWS, Subset("v1")), Cluster(REVIEWS, Subset("v2"))
LIVE = world(rule("v1"), route("v1"))
DESIRED = world(rule("v2"), route("v2"))
RENAME = (
    Step((put(rule("v1", "v2")),)),
    Step((put(route("v2")),)),
    Step((put(rule("v2")),)),
)


def judged(live: World, *steps: Step) -> Lost | None:
    """Return what these steps lose of the requests that count."""
    return lost_request(live, steps, counted_requests(live, final_world(live, steps), (A, B)))


def test_kubectl_loses_the_rename_of_a_subset() -> None:
    """One apply of both files: routes may know v2 before the clusters do, or the other way round."""
    lost = judged(LIVE, Step((put(rule("v2")), put(route("v2")))))
    assert lost is not None
    assert lost.request == Request(A, REVIEWS)
    assert lost.missing in {V1, V2}


def test_make_before_break_loses_nothing() -> None:
    """Widen, switch, narrow, with a barrier that proves everything before each."""
    assert judged(LIVE, *RENAME) is None
    assert final_world(LIVE, RENAME) == DESIRED


def test_a_barrier_that_looks_at_nothing_is_no_barrier() -> None:
    """Steps without proof behind them may overtake each other."""
    assert judged(LIVE, *(Step(step.writes, ()) for step in RENAME)) is not None


def test_a_barrier_may_prove_just_what_the_next_step_needs() -> None:
    """It is enough that v2 is active before the switch, and that nothing names v1 before it goes."""
    proofs = ((), (Sight(Look.ACTIVE, V2),), (Sight(Look.UNREFERRED, V1),))
    steps = [Step(step.writes, proof) for step, proof in zip(RENAME, proofs, strict=True)]
    assert judged(LIVE, *steps) is None


def test_a_proof_of_one_namespace_says_nothing_of_another() -> None:
    """A proxy that nobody looked at may have nothing yet."""
    proofs = ((), (Sight(Look.ACTIVE, V2, frozenset({A})),), (Sight(Look.UNREFERRED, V1),))
    steps = [Step(step.writes, proof) for step, proof in zip(RENAME, proofs, strict=True)]
    assert judged(LIVE, *steps) == Lost(2, Request(B, REVIEWS), V2)


def test_an_old_write_may_arrive_after_a_proof_that_did_not_ask_for_it() -> None:
    """Nothing named v1 when it was looked at; then the deletion came and uncovered a route that still did."""
    cover, below = route("v2", name="cover", age=1), route("v1", name="below", age=2)
    both = rule("v1", "v2")
    switch = Step((drop(cover), put(route("v2", name="below", age=2))), ())
    narrow = (put(rule("v2")),)
    live = world(both, cover, below)
    assert judged(live, switch, Step(narrow)) is None
    assert judged(live, switch, Step(narrow, (Sight(Look.UNREFERRED, V1),))) == Lost(2, Request(A, REVIEWS), V1)


def test_every_mix_of_versions_is_reached() -> None:
    """Two kinds written at once: four states for each namespace, with clusters and routes old or new."""
    states = list(reachable_states(LIVE, (Step((put(rule("v2")), put(route("v2")))),), (A, B)))
    assert len(states) == 8
    assert {state.clusters - {Cluster(REVIEWS)} for state in states if state.client == A} == {
        frozenset({V1, Cluster(REVIEWS.replace("reviews.a", "ratings.b"))}),  # type: ignore[arg-type]
        frozenset({V2, Cluster(REVIEWS.replace("reviews.a", "ratings.b"))}),  # type: ignore[arg-type]
    }


def test_only_what_is_served_before_and_after_counts() -> None:
    """A request that was broken, or will be, is nobody's loss in between."""
    broken = world(route("v1"))
    whole = world(rule("v1"), route("v1"))
    assert Request(A, REVIEWS) not in counted_requests(broken, whole, (A,))
    assert Request(A, REVIEWS) not in counted_requests(whole, broken, (A,))
    assert Request(A, REVIEWS) in counted_requests(whole, world(), (A,))


def test_a_rule_that_shadows_another_loses_requests_of_its_namespace() -> None:
    """ISTIO.md 3.2: adding is a break where it hides; the subsets of the other are gone for that client."""
    shadow = Step((put(rule("v2", at="b", name="shadow")), put(route("v2"))))
    assert judged(world(rule("v1", "v2"), route("v1")), shadow) == Lost(1, Request(B, REVIEWS), V1)


def test_a_deleted_service_takes_its_clusters_along() -> None:
    """ISTIO.md 4.9: requests to it do not count, but those that are routed to it do."""
    gone = next(item for item in LIVE.services if item.host == "ratings.b")
    assert judged(LIVE, Step((drop(gone),))) is None
    assert Write(put(gone).id, None) == drop(gone)
