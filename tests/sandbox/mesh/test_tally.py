"""The verdict on a run, from counts."""

from __future__ import annotations

from safeapply.sandbox.tally import Failure, Sightings, tally

NAMES = [("a", "GET /"), ("b", "GET /"), ("a", "GET /new"), ("a", "GET /old"), ("a", "GET /flaky")]


def test_only_probes_served_before_and_after_are_judged() -> None:
    """Failures of probes that were not served at rest, before or after, are left out of the count."""
    ok = {"": 2}
    verdict = tally(
        Sightings(
            before={0: ok, 1: ok, 2: {"NR": 2}, 3: ok, 4: {"": 1, "NC": 1}},
            during={0: {"": 5, "NC": 2}, 1: {"": 7}, 2: {"NR": 3, "": 4}, 3: {"": 4, "NR": 3}, 4: {"NC": 7}},
            after={0: ok, 1: ok, 2: ok, 3: {"NR": 2}, 4: ok},
            failures=[
                Failure(0, 0.2, "NC"),
                Failure(0, 1.7, "NC"),
                Failure(2, 0.1, "NR"),
                Failure(3, 0.1, "NR"),
                Failure(4, 0.1, "NC"),
            ],
        ),
        NAMES,
    )
    assert verdict.requests == 14
    assert verdict.failed == 2
    assert verdict.by_flag == {"NC": 2}
    assert verdict.by_proxy == {"a": 2}
    assert verdict.by_second == {0: 1, 1: 1}
    assert verdict.lost == {"GET /old": ("a",)}
    assert verdict.gained == {"GET /new": ("a",), "GET /flaky": ("a",)}


def test_a_probe_that_was_never_sent_is_not_judged() -> None:
    """Silence is not service."""
    assert tally(Sightings(before={}, during={}, after={}, failures=()), NAMES).requests == 0
