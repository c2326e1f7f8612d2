"""Answers that no API server would give: no traceback, and nothing is written once one was too bad to go on."""

from __future__ import annotations

import json
import tempfile
from functools import cache, partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeapply.commands.planning import Wanted
from safeapply.errors import SafeApplyError
from safeapply.resources.objects import Namespace
from tests.fuzz.amounts import few, many
from tests.fuzz.edits import EDITS, Edit, garbled, misshapen
from tests.fuzz.tapes import Answered, Change, Player, Tape, as_json, played, recorded
from tests.fuzz.test_manifests import read
from tests.sandbox.apiserver.cluster import Cluster, config, rule, service

STATUSES = st.sampled_from(
    (None, None, None, None, 200, 201, 204, 301, 400, 401, 403, 404, 409, 410, 422, 500, 503)
)


ROUTE = "/apis/networking.istio.io/v1/namespaces/default/virtualservices/reviews"


def route(subset: str) -> dict[str, object]:
    """Return a route to a subset of reviews."""
    destination = {"host": "reviews", "subset": subset}
    spec = {"hosts": ["reviews"], "http": [{"route": [{"destination": destination}]}]}
    head = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "reviews"}}
    return {**head, "spec": spec}


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "waits", "labels": {"app": "reviews"}},
    "spec": {"containers": [{"name": "app", "image": "example.test/app"}]},
}


def wanted() -> Wanted:
    """Return what is asked for: three steps over a bridge, a new object and a removal."""
    documents = (rule("reviews", "v2"), route("v2"), service("reviews"), config("new", {"a": "1"}))
    manifests = read(tuple(json.dumps(one).encode() for one in documents))
    return Wanted(manifests, lambda one: one.id.name == "old", Namespace("istio-system"), 0.0)


@cache
def tape() -> Tape:
    """Record the rollout, once."""
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory)) as cluster:
        for document in (rule("reviews", "v1"), route("v1"), service("reviews"), rule("old", "v1"), POD):
            cluster.do(partial(cluster.store.create, document, manager="kubectl-client-side-apply"))
        return recorded(cluster, wanted)


def test_the_tape_is_of_a_whole_rollout() -> None:
    """Nothing changed, nothing wrong: bridge, switch, narrowing, creation and removal are written."""
    player = Player(tape())
    played(player, wanted)
    assert len([one for one in player.asked if one.writes]) >= 5
    assert len(player.asked) > 30


def survives(change: Change, at: int) -> None:
    """Play with one answer changed: it goes well, or ends with an error of our own and no write after it."""
    player = Player(tape(), change, at)
    try:
        played(player, wanted)
    except SafeApplyError:
        if player.changed is not None and _is_bad(player.changed):
            after = {one.path for one in player.asked[at + 1 :] if one.writes}
            # Writes of one step go out side by side; the routes are a step of their own.
            side_by_side = player.asked[at].writes and ROUTE not in after
            assert not after or side_by_side, (player.asked[at], after)


def _is_bad(answer: Answered) -> bool:
    status, raw = answer
    return status >= 300 or not isinstance(as_json(raw), dict)


def garbles(edits: list[Edit], status: int | None) -> Change:
    """Return what changes an answer's bytes, and perhaps its status."""
    return lambda true, raw: (status or true, garbled(raw, edits))


def misshapes(edits: list[Edit], status: int | None) -> Change:
    """Return what changes an answer's values, and perhaps its status."""
    return lambda true, raw: (status or true, json.dumps(misshapen(json.loads(raw), edits)).encode())


PLACES = st.integers(0, 70)


@few(60)
@given(EDITS, STATUSES, PLACES)
def test_garbled_answers_stop_a_rollout_in_sentences(edits: list[Edit], status: int | None, at: int) -> None:
    """A sample; the nightly run has 2,000."""
    survives(garbles(edits, status), at)


@few(100)
@given(EDITS, STATUSES, PLACES)
def test_answers_of_other_shapes_stop_a_rollout_in_sentences(
    edits: list[Edit], status: int | None, at: int
) -> None:
    """A sample; the nightly run has 3,000."""
    survives(misshapes(edits, status), at)


@pytest.mark.long
@many(2_000)
@given(EDITS, STATUSES, PLACES)
def test_no_garbled_answer_is_a_traceback(edits: list[Edit], status: int | None, at: int) -> None:
    """Any answer of the rollout, with any status."""
    survives(garbles(edits, status), at)


@pytest.mark.long
@many(3_000)
@given(EDITS, STATUSES, PLACES)
def test_no_shape_of_an_answer_is_a_traceback(edits: list[Edit], status: int | None, at: int) -> None:
    """Any JSON value in the place of any other, in any answer of the rollout."""
    survives(misshapes(edits, status), at)
