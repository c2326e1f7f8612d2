"""Why a step comes after another one although it waits for nothing: who needs whom, in a sentence (DESIGN 4.6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from safeapply.plans.plan import Step
from safeapply.plans.reasons import INDIFFERENT
from safeapply.plans.versions import Stage
from safeapply.plans.writes import Constraint, Write, edge
from safeapply.resources.objects import ResourceId

__all__ = ["with_order"]

NEEDED = "A later step needs this one to be done: what is needed comes first, and goes last."


def with_order(
    steps: Iterable[Step],
    levels: Iterable[Sequence[Write]],
    constraints: Iterable[Constraint],
    between: Mapping[ResourceId, tuple[Stage, ...]],
) -> tuple[Step, ...]:
    """Return the steps, each of which says why it comes after, or before, others that it does not wait for."""
    order = _order_of(constraints, between)
    return tuple(
        replace(step, why=order.told(step.why, writes)) for step, writes in zip(steps, levels, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Order:
    before: Mapping[Write, Sequence[Constraint]]
    """What puts a write after others."""
    needed: frozenset[Write]
    """The writes that others come after."""

    def told(self, why: str, writes: Sequence[Write]) -> str:
        sentences = [*([] if why == INDIFFERENT else [why]), *self._sentences(writes)]
        if not sentences and not self.needed.isdisjoint(writes):
            return NEEDED
        return " ".join(sentences) or why

    def _sentences(self, writes: Iterable[Write]) -> Iterator[str]:
        """Yield one example of each kind of reason, and how many more there are."""
        found: dict[str, list[Constraint]] = defaultdict(list)
        for constraint in (c for write in writes for c in self.before.get(write, ())):
            found[constraint.why].append(constraint)
        for why in sorted(found):
            example = min(found[why], key=lambda c: (c.first[0], c.then[0]))
            told = why.format(first=_name(example.first[0]), then=_name(example.then[0]))
            more = len(found[why]) - 1
            yield f"{told[:1].upper()}{told[1:]}{f' (and {more} more like it)' if more else ''}."


def _order_of(constraints: Iterable[Constraint], between: Mapping[ResourceId, tuple[Stage, ...]]) -> _Order:
    before: dict[Write, list[Constraint]] = defaultdict(list)
    needed: set[Write] = set()
    for constraint in constraints:
        if constraint.why:
            first, then = edge(constraint, between)
            before[then].append(constraint)
            needed.add(first)
    return _Order(before, frozenset(needed))


def _name(one: ResourceId) -> str:
    return f"{one.kind} {one.namespace}/{one.name}" if one.namespace else f"{one.kind} {one.name}"
