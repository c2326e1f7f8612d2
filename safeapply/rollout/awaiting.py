"""Wait for conditions as scripts name them: first for what the cluster itself lacks, then for the proxies.

It is the barrier of a rollout without the rollout: the same expectations, read in the same way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from safeapply.errors import BarrierTimeoutError, UsageError
from safeapply.istio.proxies import Traits
from safeapply.istio.replicas import Written, writes_to
from safeapply.plans.conditions import Condition, Deleted, Meaning, SubsetUnused, meaning
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.rollout.durations import duration
from safeapply.rollout.poller import Poller
from safeapply.rollout.survey import settings, survey
from safeapply.xds.expectations import Expectation

__all__ = ["Awaiting"]

LOOK_AGAIN = 2.0
"""Seconds between two looks at what the cluster lacks."""


@dataclass(slots=True)
class Awaiting:
    """Some conditions, and how far they are."""

    conditions: Mapping[str, Condition]
    """By the words in which they were asked for."""
    poller: Poller
    root: Namespace
    """Where istiod runs."""
    tell: Callable[[str], None]
    """Called with a sentence when something is worth knowing."""
    _meanings: dict[str, Meaning] = field(default_factory=dict)
    _live: Mapping[ResourceId, Resource] = field(default_factory=dict)
    _deleted: dict[ResourceId, Written] = field(default_factory=dict)

    async def all_met(self, patience: float) -> None:
        """Return when every condition is met.

        Raises:
            BarrierTimeoutError: some were not met within ``patience`` seconds.
            UsageError: one of them can never be met.
            ClusterError: the cluster cannot be read.
        """
        clock = self.poller.clock
        limit = clock.now() + patience
        told: tuple[str, ...] = ()
        while lacks := await self._look():
            if lacks != told:
                self.tell(f"waiting: {'; '.join(lacks)}")
            if clock.now() >= limit:
                raise BarrierTimeoutError(self._unmet(patience), "the cluster is not so far", lacks)
            told = lacks
            await clock.sleep(min(LOOK_AGAIN, limit - clock.now()))
        try:
            await self._barriers(limit)
        except BarrierTimeoutError as error:
            raise BarrierTimeoutError(self._unmet(patience), error.behind, error.stragglers) from error

    async def _look(self) -> tuple[str, ...]:
        """Learn what the conditions mean in the mesh as it is; return what it lacks, a sentence each."""
        ids = [one.id for one in self.conditions.values() if isinstance(one, Deleted)]
        seen = await survey(self.poller.cluster, (), named=ids)
        mesh = await settings(self.poller.cluster, seen.live.values(), self.root)
        self._live = seen.live
        for words, condition in self.conditions.items():
            found = meaning(condition, seen.live, seen.proxies, mesh)
            if found.unknown_host and isinstance(condition, SubsetUnused):
                raise UsageError(f"--for={words}: {found.lacks}, so nobody can tell which clusters it has")
            if isinstance(condition, Deleted):
                self._note(words, condition.id, found)
            else:
                self._meanings[words] = found
        lacks = (one.lacks for one in self._meanings.values())
        return tuple(dict.fromkeys(one for one in lacks if one))

    def _note(self, words: str, one: ResourceId, found: Meaning) -> None:
        """Remember of an object that shall go what it did: once it is gone, nobody can tell."""
        if one in self._live:
            if not found.expectations and one not in self._deleted:
                self.tell(f"what {one} does cannot be told from the proxies: istiod is asked whether it has gone")
            self._meanings[words] = found
            self._deleted[one] = Written(one, self._live[one].resource_version, deleted=True)
            return
        if one not in self._deleted:
            if not found.expectations:
                self.tell(f"{one} is gone already: istiod is asked, but what it left on the proxies is not known")
            self._deleted[one] = Written(one, "", deleted=True)
        self._meanings[words] = replace(self._meanings.get(words, found), lacks="")

    async def _barriers(self, limit: float) -> None:
        writes = (*writes_to(self._live.values()), *self._deleted.values())
        for traits, expectations in self._by_traits().items():
            poller = replace(self.poller, traits=traits)
            patience = max(0.0, limit - poller.clock.now())
            await poller.wait(1, expectations, patience=patience, writes=writes)

    def _by_traits(self) -> Mapping[Traits, tuple[Expectation, ...]]:
        """Return the expectations together as far as their classes are told apart alike."""
        found: dict[Traits, tuple[Expectation, ...]] = defaultdict(tuple)
        for one in self._meanings.values():
            found[one.traits] += one.expectations
        return found

    def _unmet(self, patience: float) -> str:
        return f"{', '.join(self.conditions)}: not met within {duration(patience)}"
