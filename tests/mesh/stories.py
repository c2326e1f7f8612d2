"""Seeded transitions for the embedded mesh: the oracle's worlds, without Sidecars and with them.

Left out is what no load can judge: worlds that are broken before the change (a split that is whole in part fails by
chance), and what ``apply`` does not take away by labels (Services).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from safeapply.istio.proxies import Labels, ProxyClass, Role
from safeapply.resources.objects import Document, Namespace, Resource
from tests.oracle.documents import resources
from tests.oracle.readings import dangling
from tests.oracle.references import Transition
from tests.oracle.scoped import CHOSEN, PATTERNS, sidecar
from tests.oracle.worlds import CLIENTS, is_decided, transitions

LABELS = {"world": "drawn"}
"""What every object of a story carries, so that ``--prune -l`` finds it."""
ENOUGH = 40
"""Worlds that are drawn for each that is wanted: many change nothing, or are left out."""


@dataclass(frozen=True, slots=True)
class Story:
    """A transition, and the Sidecars before and after it."""

    transition: Transition
    scopes: tuple[tuple[Resource, ...], tuple[Resource, ...]]

    @property
    def live(self) -> tuple[Document, ...]:
        """What is there, as the API server would hand it over."""
        return _documents((*resources(self.transition.live).values(), *self.scopes[0]))

    @property
    def desired(self) -> tuple[Document, ...]:
        """What shall be, as a user would write it."""
        return _documents((*resources(self.transition.desired).values(), *self.scopes[1]), created=False)

    @property
    def scoped(self) -> bool:
        """Whether there are Sidecars."""
        return any(self.scopes)


def stories(number: int, *, first: int, scoped: bool) -> tuple[Story, ...]:
    """Return some stories of a seed, always the same ones, which all change something."""
    found: list[Story] = []

    @seed(first)
    @settings(
        max_examples=ENOUGH * number,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(_stories(scoped=scoped))
    def collect(story: Story) -> None:
        if len(found) < number and story not in found and _can_be_told(story):
            found.append(story)

    collect()
    return tuple(found)


@st.composite
def _stories(draw: DrawFn, *, scoped: bool) -> Story:
    return Story(draw(transitions()), draw(_scopes()) if scoped else ((), ()))


@st.composite
def _scopes(draw: DrawFn) -> tuple[tuple[Resource, ...], tuple[Resource, ...]]:
    """Return one or two Sidecars that change or come, never go: ``--prune -l`` leaves them alone."""
    hosts = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3)
    live, desired = [], []
    for number in range(draw(st.integers(1, 2))):
        space, chosen = draw(st.sampled_from(CLIENTS)), draw(st.booleans())
        after = draw(hosts)
        before = draw(st.one_of(st.just(after), hosts, st.none()))
        desired.append(sidecar(number, space, *after, chosen=chosen))
        if before is not None:
            live.append(sidecar(number, space, *before, chosen=chosen))
    return tuple(live), tuple(desired)


def _can_be_told(story: Story) -> bool:
    transition = story.transition
    return (
        is_decided(transition)
        and _changes(story)
        and transition.live.services <= transition.desired.services
        and not any(dangling(_live(story), one) for one in _classes())
    )


def _changes(story: Story) -> bool:
    specs = [
        [(one["kind"], one["metadata"]["name"], one["spec"]) for one in end] for end in (story.live, story.desired)
    ]
    return specs[0] != specs[1]


def _live(story: Story) -> tuple[Resource, ...]:
    return (*resources(story.transition.live).values(), *story.scopes[0])


def _classes() -> tuple[ProxyClass, ...]:
    return tuple(
        ProxyClass(Role.SIDECAR, Namespace(space), Labels.of(labels))
        for space in CLIENTS
        for labels in ({}, CHOSEN)
    )


def _documents(objects: tuple[Resource, ...], *, created: bool = True) -> tuple[Document, ...]:
    return tuple(_document(one, created=created) for one in objects)


def _document(one: Resource, *, created: bool) -> Document:
    metadata: dict[str, Any] = {**one.metadata, "labels": LABELS}
    if not created:
        metadata.pop("creationTimestamp", None)
    spec: Mapping[str, Any] = one.spec
    if one.id.kind == "Service":
        spec = {**spec, "selector": {"app": one.id.name}}
    return {**one.document, "metadata": metadata, "spec": spec}
