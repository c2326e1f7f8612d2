"""The live view, drawn on real pseudo-terminals and on consoles of a fixed width."""

from __future__ import annotations

import os
import pty
import select
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from io import StringIO
from textwrap import dedent
from typing import TextIO

import pytest
from rich.console import Console

from docs.rollout_story import STORY, StandingClock
from safeapply.adapters.dressing import dresser
from safeapply.adapters.log import LogProgress
from safeapply.adapters.terminal import LiveProgress, listener_on
from safeapply.rollout.events import Event, Stopped

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
PATIENCE = "the mesh is safe; run the command again"


@pytest.fixture
def terminal() -> Iterator[tuple[TextIO, int]]:
    """A pseudo-terminal: the end a program writes to, and the end that shows."""
    shown, written = pty.openpty()
    with os.fdopen(written, "w") as stream:
        yield stream, shown
    with suppress(OSError):
        os.close(shown)


def picture(*events: Event, now: float = 0.0, width: int = 90) -> str:
    """Draw what a rollout looks like after some events, without colour."""
    live = LiveProgress(StringIO(), clock=StandingClock(now))
    for event in events:
        live(event)
    console = Console(file=StringIO(), width=width)
    with console.capture() as captured:
        console.print(live.picture())
    return "".join(line.rstrip() + "\n" for line in captured.get().splitlines())


def text(document: str) -> str:
    """Return an expected picture without the margin of this file."""
    return dedent(document).lstrip("\n")


def test_before_the_first_step_the_plan_is_shown() -> None:
    """The first event carries it whole, with what each step waits for."""
    assert picture(STORY[0]) == text("""
        · 1/2 widen                       1 to write
        · 2/2 narrow                      1 to write
        · settle                          once outbound|9080|v1|reviews gone
        0 s elapsed
    """)


def test_a_closed_barrier_shows_how_many_have_followed_and_who_has_not() -> None:
    """Grouped by the reason; as many names as fit, whole, and how many more there are."""
    assert picture(*STORY[:7], now=12.1) == text("""
        ✓ 1/2 widen                       1 of 1 written
        … 2/2 narrow ━━━━━━━━━━━━━━━╸     19 of 24 proxies, 12 s
        · settle                          once outbound|9080|v1|reviews gone
            cluster outbound|9080|v2|reviews is still warming
              5: reviews-19.default, reviews-20.default, reviews-21.default and 2 more
        12 s elapsed
    """)


def test_a_soak_counts_down() -> None:
    """So that nobody takes it for a hang."""
    assert "… 2/2 narrow ━━━━━━━━━━━━━━━━━━━━ 24 of 24 proxies in 3.4 s; 1.5 s left for" in picture(
        *STORY[:9], now=4.0
    )


def test_the_last_picture_is_the_summary() -> None:
    """What was waited for, what was written, how long all of it took."""
    assert picture(*STORY) == text("""
        ✓ 1/2 widen                       1 of 1 written
        ✓ 2/2 narrow ━━━━━━━━━━━━━━━━━━━━ 24 of 24 proxies in 3.4 s, 1 of 1 written
        ✓ settle     ━━━━━━━━━━━━━━━━━━━━ 24 of 24 proxies in 0.3 s
          2 narrow  p50 1 s  p99 3.4 s  slowest 3.4 s: reviews-19.default
          settle    p50 0 s  p99 0.3 s  slowest 0.3 s: reviews-23.default
        settled after 5.9 s
    """)


def test_a_stop_leaves_the_stragglers_standing() -> None:
    """And the next move; the details come with the error."""
    drawn = picture(*STORY[:7], Stopped(300.0, 2, f"{PATIENCE}\n  details"))
    assert "✗ 2/2 narrow ━━━━━━━━━━━━━━━╸     19 of 24 proxies in 1 s, 0 of 1 written" in drawn
    assert "5: reviews-19.default" in drawn
    assert drawn.endswith(f"stopped: {PATIENCE}\n")


def test_a_terminal_gets_the_live_view_and_everything_else_lines(terminal: tuple[TextIO, int]) -> None:
    """A pipe, a dumb terminal and ``-v`` get lines."""
    stream, _ = terminal
    clock = StandingClock()
    assert isinstance(listener_on(stream, {"TERM": "xterm"}, clock=clock), LiveProgress)
    assert isinstance(listener_on(stream, {"TERM": "dumb"}, clock=clock), LogProgress)
    assert isinstance(listener_on(stream, {"TERM": "xterm"}, clock=clock, verbose=True), LogProgress)
    assert isinstance(listener_on(StringIO(), {"TERM": "xterm"}, clock=clock), LogProgress)


async def test_the_last_picture_stays_on_the_terminal(
    terminal: tuple[TextIO, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cursor is shown again, and nothing keeps drawing."""
    monkeypatch.setenv("TERM", "xterm")
    stream, shown = terminal
    async with LiveProgress(stream, clock=StandingClock()) as live:
        for event in STORY:
            live(event)
    drawn = until(shown, SHOW_CURSOR)
    assert "settled after 5.9 s" in drawn
    assert HIDE_CURSOR not in drawn.partition("settled after")[2]


def until(shown: int, text: str) -> str:
    """Read what a terminal shows until some text has come."""
    drawn = ""
    while text not in drawn:
        ready, _, _ = select.select([shown], [], [], 10.0)
        assert ready, f"{text!r} did not come: {drawn!r}"
        drawn += os.read(shown, 65536).decode(errors="replace")
    return drawn


class Paint(Enum):
    """Roles of a printed plan, by the names that matter here."""

    ADD = "add"
    PLAIN = "plain"


def test_a_plan_is_coloured_on_a_terminal_alone(terminal: tuple[TextIO, int]) -> None:
    """``NO_COLOR`` is obeyed, and unknown roles are left alone."""
    stream, _ = terminal
    assert dresser(stream, {"TERM": "xterm"})(Paint.ADD, "+ x") == "\x1b[32m+ x\x1b[0m"
    assert dresser(stream, {"TERM": "xterm"})(Paint.PLAIN, "x") == "x"
    assert dresser(stream, {"TERM": "xterm", "NO_COLOR": "1"})(Paint.ADD, "+ x") == "+ x"
    assert dresser(StringIO(), {"TERM": "xterm"})(Paint.ADD, "+ x") == "+ x"
