"""Plans and rollouts as pages: nothing is loaded, no name is markup, and a real browser shows them."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from docs.rollout_story import PLAN, RULE, STORY, WARMING
from safeapply.istio.proxies import ProxyId
from safeapply.plans.plan import Action, Operation, Phase, Plan, Refusal, Step
from safeapply.report.outcome_page import SHOWN, outcome_page
from safeapply.report.plan_mermaid import plan_mermaid
from safeapply.report.plan_page import plan_page
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.rollout.events import BarrierPassed, Event, Settled, Stopped, Straggler, Waiting
from tests.report.browser import Page, needs_chromium, opened, size_of

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
EVIL_ID = ResourceId("networking.istio.io", "VirtualService", Namespace(EVIL), EVIL)
EVIL_PLAN = Plan(
    steps=(Step(Phase.SWITCH, (Operation(Action.APPLY, Resource(EVIL_ID, {})),), (), 0.0, EVIL, without=EVIL),),
    refusals=(Refusal(EVIL, (EVIL_ID,), EVIL, EVIL, EVIL),),
)
LATE = Straggler(ProxyId(EVIL), EVIL)
EVIL_STORY: tuple[Event, ...] = (*STORY[:6], Waiting(1.0, 2, 0, 1, (LATE,)), Stopped(2.0, 2, EVIL))


def crowd(proxies: int) -> tuple[Event, ...]:
    """Return a rollout in which proxies arrive one after another."""
    all_of_them = [Straggler(ProxyId(f"web-{number:04}.default"), WARMING) for number in range(proxies)]
    waits = [
        Waiting(0.1 + 0.01 * step, 2, step, proxies, tuple(all_of_them[step:]))
        for step in range(0, proxies, max(1, proxies // 50))
    ]
    last = all_of_them[-1].proxy
    return (*STORY[:5], *waits, BarrierPassed(20.0, 2, proxies, 19.9, last), Settled(20.0, 20.0))


PAGES = {
    "plan": plan_page(PLAN, live={}),
    "report": outcome_page(STORY, PLAN),
    "stopped": outcome_page((*STORY[:7], Stopped(300.0, 2, "the mesh is safe")), PLAN),
    "nothing": outcome_page((), Plan(unchanged=(RULE,))),
    "evil plan": plan_page(EVIL_PLAN, live={}),
    "evil report": outcome_page(EVIL_STORY, EVIL_PLAN),
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_a_page_loads_nothing_and_runs_nothing(page: str) -> None:
    """No script, no picture, no address; styles only those whose hash the page's own policy names."""
    document = Page(page)
    assert {tag for tag, _ in document.elements}.isdisjoint({"script", "img", "link", "iframe", "object", "form"})
    names = {name for _, attributes in document.elements for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in {"src", "style"}}
    links = [attributes["href"] for _, attributes in document.elements if "href" in attributes]
    assert all(link is not None and link.startswith("#") for link in links)
    policy = next(one["content"] for tag, one in document.elements if tag == "meta" and "http-equiv" in one)
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_a_page_can_be_read_aloud(page: str) -> None:
    """It has a language, one heading, tables with headings, and pictures with words; ids are unique."""
    document = Page(page)
    assert ("html", {"lang": "en"}) in document.elements
    assert (document.count("h1"), document.count("main")) == (1, 1)
    assert all("scope" in one for tag, one in document.elements if tag == "th")
    assert all(one.get("aria-label") for tag, one in document.elements if tag == "svg")
    ids = [one["id"] for _, one in document.elements if "id" in one]
    assert len(ids) == len(set(ids))
    assert {link["href"] for tag, link in document.elements if tag == "a"} <= {f"#{one}" for one in ids}


def test_names_are_text_wherever_they_stand() -> None:
    """Whoever may write a manifest may not write the page."""
    for name in ("evil plan", "evil report"):
        assert "<script>" not in PAGES[name]
        assert EVIL in Page(PAGES[name]).text


def test_a_thousand_proxies_are_a_page_that_can_be_read() -> None:
    """The slowest have a row each, and the others one together; the middle and nearly all are told."""
    page = outcome_page(crowd(1000), PLAN)
    document = Page(page)
    assert len(set(re.findall(r"web-\d{4}\.default", page))) == SHOWN
    assert f"{1000 - SHOWN} others" in document.text
    assert {"p50", "p99", "Slowest"} <= set(document.words)
    assert len(page) < 40_000


def test_a_stopped_rollout_shows_who_was_waited_for_and_why() -> None:
    """By reason, with the names."""
    told = Page(PAGES["stopped"]).text
    assert "Why it stopped the mesh is safe" in told
    assert f"5 {WARMING} reviews-19.default" in told


@needs_chromium
@pytest.mark.parametrize("name", PAGES)
def test_a_browser_shows_it(name: str, tmp_path: Path) -> None:
    """Its own policy lets its style in; nothing is refused or run, and there is something to see."""
    document, shot, complaints = opened(PAGES[name], tmp_path)
    assert "Content Security Policy" not in complaints
    assert "script" not in {tag for tag, _ in document.elements}
    assert document.words == Page(PAGES[name]).words
    assert size_of(shot)[0] == 1280
    assert shot.stat().st_size > 15_000, "an empty page is smaller"


def test_a_plan_is_a_flowchart_for_pull_requests() -> None:
    """Steps in order, what they write, and what is waited for in between."""
    assert plan_mermaid(PLAN) == dedent("""\
        flowchart TD
          live([live])
          subgraph step1["1 widen: 1 write"]
            write1_1["destinationrule default/reviews"]
          end
          live --> step1
          subgraph step2["2 narrow: 1 write"]
            write2_1["destinationrule default/reviews"]
          end
          wait2{{"then 2 s for requests under way"}}
          step1 --> wait2 --> step2
          desired([desired])
          waitdone{{"outbound#124;9080#124;v1#124;reviews gone"}}
          step2 --> waitdone --> desired
    """)


def test_names_are_text_in_a_flowchart_too() -> None:
    """No quote ends a label, and no bracket opens markup."""
    drawn = plan_mermaid(Plan(steps=EVIL_PLAN.steps))
    assert "<script" not in drawn
    assert all(line.count('"') in {0, 2} for line in drawn.splitlines())
