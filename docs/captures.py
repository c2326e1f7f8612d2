"""Writes what the docs show of the tool, from the tool itself: ``python -m docs.captures``; a test compares.

No clock and no cluster: plans are made from the examples, and rollouts are told from events that were composed
for the purpose (``docs.rollout_story``), so that what is drawn is the tool's and the same every time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console

from docs import api, errors
from docs.rollout_story import STORY, StandingClock
from safeapply.adapters.terminal import LiveProgress
from safeapply.checks.check import check
from safeapply.checks.scene import Sight
from safeapply.commands.planning import Planned, Wanted, plan_offline
from safeapply.istio.proxies import ProxyId
from safeapply.report.event_format import events_schema
from safeapply.report.findings import findings_text
from safeapply.report.outcome_format import outcome_schema
from safeapply.report.plan_text import plan_text
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace
from safeapply.rollout.events import BarrierPassed, Event, Stopped, Straggler, Waiting

DOCS: Final = Path(__file__).parent
EXAMPLE: Final = DOCS.parent / "examples" / "01-rename-a-subset"
FAULTY: Final = DOCS.parent / "tests" / "checks" / "pairs" / "SA0101-subset-hidden-by-the-clients-own-rule"
DEFAULT: Final = Namespace("default")
WIDTHS: Final = (80, 160)

_LATE: Final = tuple(
    Straggler(ProxyId(f"reviews-v{number % 3}-7d9f8b6c5-{number:05x}.production"), why)
    for number, why in enumerate(
        [
            "cluster outbound|9080|stable|reviews.production.svc.cluster.local is still warming",
            "cluster outbound|9080|stable|reviews.production.svc.cluster.local is still warming",
            "cluster outbound|9080|stable|reviews.production.svc.cluster.local is still warming",
            "istiod-7c9d-x2x9k.istio-system sent what this Envoy rejected: Invalid path: /etc/certs/root-cert.pem",
        ]
    )
)
_BEGIN: Final[tuple[Event, ...]] = (
    *STORY[:5],
    Waiting(0.1, 2, 20, 24, _LATE),
    Waiting(1.1, 2, 22, 24, _LATE[2:]),
)
_PASSED: Final = BarrierPassed(3.5, 2, 24, 3.4, _LATE[3].proxy)
_STOPPED: Final = Stopped(300.0, 2, "2 of 24 proxies did not follow in 5 min; nothing was removed")
STORIES: Final[dict[str, tuple[tuple[Event, ...], float]]] = {
    "progress": (_BEGIN, 12.1),
    "going-on": ((*_BEGIN, _PASSED, *STORY[8:11], Waiting(5.6, 3, 20, 24, _LATE)), 6.0),
    "settled": ((*_BEGIN, _PASSED, *STORY[8:]), 5.9),
    "failure": (
        (*_BEGIN, Stopped(300.0, 2, "2 of 24 proxies did not follow in 5 min; nothing was removed")),
        300.0,
    ),
}


def captures() -> Iterator[tuple[Path, str]]:
    """Yield each file with what it has to hold."""
    yield DOCS / "api.md", api.page()
    yield DOCS / "errors.md", errors.page()
    yield DOCS / "events.schema.json", json.dumps(events_schema(), indent=2) + "\n"
    yield DOCS / "outcome.schema.json", json.dumps(outcome_schema(), indent=2) + "\n"
    for width in WIDTHS:
        shown = {"plan": _plan(width), "check": _check(width)}
        shown |= {name: _picture(events, now, width) for name, (events, now) in STORIES.items()}
        for name, text in shown.items():
            yield DOCS / "captures" / f"{name}-{width}.txt", text


def _plan(width: int) -> str:
    made = _planned()
    return plan_text(made.plan, live=made.live, desired=made.desired, width=width)


def _planned() -> Planned:
    desired = tuple(path for path in sorted((EXAMPLE / "desired").iterdir()))
    sources = [SourceText(path.name, path.read_text()) for path in desired]
    found = read_manifests(tuple(sources), default_namespace=DEFAULT)
    wanted = Wanted(found, lambda _: False, Namespace("istio-system"), 1.0)
    return plan_offline(wanted, str(EXAMPLE / "live"), recursive=False, default=DEFAULT)


def _check(width: int) -> str:
    sources = (SourceText("routes.yaml", (FAULTY / "faulty.yaml").read_text()),)
    found = read_manifests(sources, default_namespace=DEFAULT)
    return findings_text(check({one.id: one for one in found}, Sight()).findings, width=width)


def _picture(events: Sequence[Event], now: float, width: int) -> str:
    live = LiveProgress(StringIO(), clock=StandingClock(now))
    for event in events:
        live(event)
    console = Console(file=StringIO(), width=width)
    with console.capture() as captured:
        console.print(live.picture())
    return "".join(line.rstrip() + "\n" for line in captured.get().splitlines())


def main() -> None:
    """Write them all."""
    for path, text in captures():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
