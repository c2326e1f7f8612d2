"""A rollout as lines."""

from __future__ import annotations

from io import StringIO
from textwrap import dedent

from docs.rollout_story import PLAN, STORY, WARMING, StandingClock, waiting
from safeapply.adapters.log import LogProgress
from safeapply.istio.proxies import ProxyId
from safeapply.rollout.events import NoProxies, PlanStarted, Stopped, Straggler, Waiting


def told(stream: StringIO) -> str:
    """Return the lines without the time of day in front of each."""
    return "".join(line.partition(" ")[2] + "\n" for line in stream.getvalue().splitlines())


def text(document: str) -> str:
    """Return an expected text without the margin of this file."""
    return dedent(document).lstrip("\n")


def test_a_rollout_is_a_few_lines() -> None:
    """One for each thing that happens; counts between are left to the heartbeat."""
    stream = StringIO()
    log = LogProgress(stream, clock=StandingClock())
    for event in STORY:
        log(event)
    assert told(stream) == text("""
        2 steps to go
        step 1 of 2: destinationrule.networking.istio.io/default/reviews configured
        step 2 of 2: 0 of 24 proxies ready, waiting
        step 2 of 2: all 24 proxies ready after 3.4 s (p50 1 s, p99 3.4 s), reviews-23.default last
        step 2 of 2: waiting 2 s for requests under way
        step 2 of 2: destinationrule.networking.istio.io/default/reviews configured
        after the last step: 23 of 24 proxies ready, waiting
        after the last step: all 24 proxies ready after 0.3 s (p50 0 s, p99 0.3 s), reviews-23.default last
        settled after 5.9 s
    """)


def test_each_line_has_the_time_of_day() -> None:
    """For the day after."""
    stream = StringIO()
    LogProgress(stream, clock=StandingClock())(PlanStarted(0.0, PLAN))
    hour, minute, second = stream.getvalue().split(" ")[0].split(":")
    assert int(hour) < 24
    assert int(minute) < 60
    assert int(second) < 61


async def test_the_heart_beats_only_while_a_barrier_is_closed() -> None:
    """Once per interval, with the reasons; never when something else goes on."""
    stream, clock = StringIO(), StandingClock()
    async with LogProgress(stream, clock=clock, heartbeat=10.0) as log:
        log(PlanStarted(0.0, PLAN))
        await clock.move(10.0)
        log(waiting(12.0, 5))
        await clock.move(15.0)
        await clock.move(20.0)
        log(Waiting(29.0, 2, 22, 24, (Straggler(ProxyId("a.x"), WARMING), Straggler(ProxyId("b.x"), "lost"))))
        await clock.move(132.0)
        for event in STORY[7:]:
            log(event)
        stream.truncate(stream.seek(stream.getvalue().index("settled after") - 9))
        await clock.move(200.0)
    assert told(stream) == text(f"""
        2 steps to go
        step 2 of 2: 19 of 24 proxies ready, waiting
        step 2 of 2: 19 of 24 proxies ready after 8 s; waiting for reviews-19.default, reviews-20.default, \
reviews-21.default and 2 more ({WARMING})
        step 2 of 2: 22 of 24 proxies ready after 2 min 00 s; waiting for a.x ({WARMING}); b.x (lost)
        step 2 of 2: all 24 proxies ready after 3.4 s (p50 0 s, p99 17 s), reviews-23.default last
        step 2 of 2: waiting 2 s for requests under way
        step 2 of 2: destinationrule.networking.istio.io/default/reviews configured
        after the last step: 23 of 24 proxies ready, waiting
        after the last step: all 24 proxies ready after 0.3 s (p50 0 s, p99 0.3 s), reviews-23.default last
    """)


def test_the_curious_get_every_count_and_version() -> None:
    """With ``-v``."""
    stream, clock = StringIO(), StandingClock(1.1)
    log = LogProgress(stream, clock=clock, verbose=True)
    for event in STORY[:7]:
        log(event)
    assert told(stream) == text(f"""
        2 steps to go
        step 1 of 2: widen
        step 1 of 2: destinationrule.networking.istio.io/default/reviews configured (resourceVersion 11)
        step 1 of 2: done
        step 2 of 2: narrow
        step 2 of 2: 0 of 24 proxies ready, waiting
        step 2 of 2: 19 of 24 proxies ready after 1 s; waiting for reviews-19.default, reviews-20.default, \
reviews-21.default and 2 more ({WARMING})
    """)


def test_warnings_and_errors_say_so() -> None:
    """In words always, in colour where there is one; an error's details come with the error itself."""
    for colours in (False, True):
        stream = StringIO()
        log = LogProgress(stream, clock=StandingClock(), colours=colours)
        for event in (PlanStarted(0.0, PLAN), NoProxies(0.0), Stopped(1.0, 1, "why\n  details")):
            log(event)
        plain = stream.getvalue().replace("\x1b[33m", "").replace("\x1b[31m", "").replace("\x1b[0m", "")
        assert told(StringIO(plain)) == text("""
            2 steps to go
            warning: no proxy runs in this mesh, so there is nothing to wait for
            error: step 1 of 2: stopped: why
        """)
        assert ("\x1b[31m" in stream.getvalue()) is colours
