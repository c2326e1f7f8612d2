"""What may still be on its way when a step is written, whatever its barrier has shown.

An Envoy shows clusters and the names that routes have for them, and not which versions they come of. So a proxy
that shows all that a barrier expects may still lack a write that changes nothing of the kind. What is known of it:

* istiod sees the objects of one kind in the order in which they were written, but for one thing: what is queued for
  an object takes later versions of it along, past other objects (client-go's DeltaFIFO).
* Between kinds, and between a proxy's clusters and its routes, there is no order.

A ``Half`` holds all versions that a proxy may have of the objects that decide about the clusters of one host, or
about the routes of one domain; what a barrier rules out is taken from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final, TypeAlias

from safeapply.istio.kinds import Declaration
from safeapply.resources.objects import ResourceId

__all__ = ["MOST_MIXTURES", "Half", "Versions"]

MOST_MIXTURES: Final = 1024
"""More than any half may have; of larger ones it is taken that each barrier shows all that was written."""

Versions: TypeAlias = Mapping[ResourceId, Declaration | None]
Vector: TypeAlias = tuple[int, ...]
"""For each object how many of its writes have arrived."""


@dataclass(frozen=True, slots=True)
class Half:
    """All that a proxy may have of some objects."""

    objects: tuple[ResourceId, ...]
    written: tuple[tuple[tuple[int, Declaration | None], ...], ...]
    """For each object its versions, each with the step that writes it; -1 is live."""
    vectors: frozenset[Vector]

    @classmethod
    def of(cls, objects: Iterable[ResourceId], live: Versions, steps: Sequence[Versions]) -> Half:
        """Return the quiet mesh before the first write."""
        own = tuple(sorted({one for one in objects if any(one in step for step in steps)}))
        written = tuple(
            ((-1, live.get(one)), *((number, step[one]) for number, step in enumerate(steps) if one in step))
            for one in own
        )
        if prod(map(len, written)) > MOST_MIXTURES:
            own, written = (), ()
        return cls(own, written, frozenset({(0,) * len(own)}))

    def mixtures(self) -> Iterator[Versions]:
        """Yield what a proxy may have."""
        return map(self._versions, sorted(self.vectors))

    def lacks_before(self, step: int) -> bool:
        """Tell whether something may be missing that was written before a step."""
        due = tuple(sum(1 for number, _ in known if number < step) - 1 for known in self.written)
        return any(had < end for vector in self.vectors for had, end in zip(vector, due, strict=True))

    def after_barrier(self, shows: Callable[[Versions], bool]) -> Half:
        """Keep what shows all that a barrier expects; where nothing does, nothing is ruled out."""
        kept = frozenset(vector for vector in self.vectors if shows(self._versions(vector)))
        return Half(self.objects, self.written, kept or self.vectors)

    def with_step(self, step: int) -> Half:
        """Deliver all that has been written up to a step, in every order."""
        ends = tuple(sum(1 for number, _ in known if number <= step) - 1 for known in self.written)
        reached, waiting = set(self.vectors), list(self.vectors)
        while waiting:
            vector = waiting.pop()
            for following in self._following(vector, ends):
                if following not in reached:
                    reached.add(following)
                    waiting.append(following)
        return Half(self.objects, self.written, frozenset(reached))

    def _following(self, vector: Vector, ends: Vector) -> Iterator[Vector]:
        for place, (had, end) in enumerate(zip(vector, ends, strict=True)):
            if had < end and self._is_next(vector, ends, place):
                for newer in range(had + 1, end + 1):
                    yield (*vector[:place], newer, *vector[place + 1 :])

    def _is_next(self, vector: Vector, ends: Vector, place: int) -> bool:
        """Tell whether all of a kind that earlier steps have written is there."""
        due, kind = self.written[place][vector[place] + 1][0], self.objects[place].group_kind
        return all(
            had == end or known[had + 1][0] >= due
            for one, known, had, end in zip(self.objects, self.written, vector, ends, strict=True)
            if one.group_kind == kind
        )

    def _versions(self, vector: Vector) -> Versions:
        chosen = zip(self.objects, self.written, vector, strict=True)
        return {one: known[had][1] for one, known, had in chosen}
