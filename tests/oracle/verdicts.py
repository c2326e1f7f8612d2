"""What the oracle says of one plan of the product."""

from __future__ import annotations

from enum import Enum

from safeapply.plans.plan import Plan
from tests.oracle.delivery import closed_barrier, counted_requests, final_world, lost_request
from tests.oracle.documents import barriers, planned, steps_of
from tests.oracle.references import Transition, newly_dangling
from tests.oracle.search import Care, minimum_plan


class Verdict(Enum):
    """Agreement, or in which way product and oracle differ."""

    AGREE = "same barriers as the optimum"
    REFUSED = "refused by both"
    CAREFUL = "waits for a reference that no request takes, as DESIGN.md 4.5 asks"
    MIRRORS = "waits for a mirror"
    MORE = "more barriers than needed"
    ORDERED = "fewer barriers than the optimum, thanks to the order of writes of one kind"
    OVER_REFUSED = "refused, though a safe order exists"
    DANGLING = "planned, though the desired state newly dangles"
    UNSAFE = "planned, though there is no safe order"
    WRONG_END = "the last step leads somewhere else"
    NOT_FOUND = "a reachable state answers 404"
    NO_CLUSTER = "a reachable state answers 503 NC"
    CLOSED = "a barrier never opens"
    UNPROVEN = "safe only if barriers proved more than their expectations say"


RIGHT = {Verdict.AGREE, Verdict.REFUSED, Verdict.CAREFUL, Verdict.ORDERED}
"""Both sentences of the design hold: the promise asks for no more, and 4.5 for no less. The search knows no order
of writes but by barriers; a plan may do with fewer where istiod is known to keep the order (see ``delivery``)."""


def judge(transition: Transition) -> Verdict:
    """Return the verdict on the product's plan for a transition."""
    made, fewest = planned(transition), minimum_plan(transition)
    dangles = bool(newly_dangling(transition))
    if made.refusals:
        return Verdict.REFUSED if dangles or fewest is None else Verdict.OVER_REFUSED
    if dangles:
        return Verdict.DANGLING
    lost = _loss(transition, made)
    return lost or (Verdict.UNSAFE if fewest is None else _count(transition, barriers(made), fewest))


def _loss(transition: Transition, made: Plan) -> Verdict | None:
    live = transition.live
    believed = steps_of(made, live=live, all_is_proven=True)
    proven = steps_of(made, live=live, all_is_proven=False)
    requests = counted_requests(live, transition.desired, transition.clients)
    if final_world(live, believed) != transition.desired:
        return Verdict.WRONG_END
    lost = lost_request(live, believed, requests)
    if lost:
        return Verdict.NO_CLUSTER if lost.missing else Verdict.NOT_FOUND
    if closed_barrier(live, proven, transition.clients):
        return Verdict.CLOSED
    return Verdict.UNPROVEN if lost_request(live, proven, requests) else None


def _count(transition: Transition, made: int, fewest: int) -> Verdict:
    if made == fewest:
        return Verdict.AGREE
    if made < fewest:
        return Verdict.ORDERED
    for care, verdict in ((Care.REFERENCES, Verdict.CAREFUL), (Care.MIRRORS, Verdict.MIRRORS)):
        if made == minimum_plan(transition, care):
            return verdict
    return Verdict.MORE
