"""Which write has to come after which: the reference graph, found by evaluation (DESIGN 4.3).

Nothing here knows a kind's fields. For every class of proxies the live and the desired view are compared: a
reference whose cluster is not there yet makes its object wait for whoever provides the cluster; a reference
whose cluster will go makes the removal wait for its object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import permutations

from safeapply.istio.proxies import ProxyClass
from safeapply.istio.registry import service_options
from safeapply.istio.routes import Reference, references
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.subsets import rules_in_path
from safeapply.istio.view import View, clusters_of, view
from safeapply.plans.route_order import route_order
from safeapply.plans.transition import Stage, Transition
from safeapply.plans.writes import Constraint, Part
from safeapply.resources.objects import ResourceId

__all__ = ["Dangling", "Findings", "find_constraints"]


@dataclass(frozen=True, slots=True)
class Dangling:
    """A reference whose cluster will not exist once all is written, and did exist or was not there before."""

    proxy_class: ProxyClass
    reference: Reference


@dataclass(frozen=True, slots=True)
class Findings:
    """What the comparison of live and desired says."""

    constraints: frozenset[Constraint]
    dangling: tuple[Dangling, ...]


def find_constraints(transition: Transition) -> Findings:
    """Compare live and desired for every class."""
    constraints = set(route_order(transition))
    dangling: list[Dangling] = []
    for proxy_class in transition.classes:
        comparison = _Comparison.of(transition, proxy_class)
        constraints.update(comparison.constraints())
        dangling.extend(Dangling(proxy_class, reference) for reference in comparison.dangling())
    return Findings(frozenset(constraints), tuple(dangling))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Live and desired, as one class of proxies gets them."""

    transition: Transition
    proxy_class: ProxyClass
    live: Snapshot
    desired: Snapshot
    before: View
    after: View

    @classmethod
    def of(cls, transition: Transition, proxy_class: ProxyClass) -> _Comparison:
        live, desired = transition.all_at(Stage.LIVE), transition.all_at(Stage.DESIRED)
        before = view(live, proxy_class, transition.routes)
        after = view(desired, proxy_class, transition.routes)
        return cls(transition, proxy_class, live, desired, before, after)

    def dangling(self) -> Iterator[Reference]:
        """Yield the hard references that will miss their cluster, unless they miss it today."""
        missing_today = {(ref.domain, ref.port, ref.cluster) for ref in self.before.dangling()}
        for reference in self.after.dangling():
            if reference.hard and (reference.domain, reference.port, reference.cluster) not in missing_today:
                yield reference

    def constraints(self) -> Iterator[Constraint]:
        for reference in self.after.references:
            there = clusters_of(self.live, self.proxy_class, reference.host)
            if reference.cluster not in there and reference.cluster in self.after.clusters:
                yield from self._needs(reference)
        for reference in self.before.references:
            kept = clusters_of(self.desired, self.proxy_class, reference.host)
            if reference.cluster in self.before.clusters and reference.cluster not in kept:
                yield from self._lets_go(reference)
        for reference in self.before.references & self.after.references:
            yield from self._hands_over(reference)

    def _needs(self, reference: Reference) -> Iterator[Constraint]:
        """A new reference after whoever provides its cluster."""
        for provider in self._responsible(reference, self.desired, Stage.LIVE):
            for consumer in self._consumers(reference, self.desired, Stage.LIVE):
                if consumer != provider:
                    yield Constraint((provider, Part.WIDENING), (consumer, Part.WHOLE))

    def _lets_go(self, reference: Reference) -> Iterator[Constraint]:
        """A removal after every old reference."""
        for provider in self._responsible(reference, self.live, Stage.DESIRED):
            for consumer in self._consumers(reference, self.live, Stage.DESIRED):
                if consumer != provider:
                    yield Constraint((consumer, Part.WHOLE), (provider, Part.NARROWING))

    def _hands_over(self, reference: Reference) -> Iterator[Constraint]:
        """Of two objects that provide one cluster in turn, the new one first."""
        providers = self._providers(reference)
        if len(providers) < 2:  # noqa: PLR2004  it takes two to hand over
            return
        either = self.transition.mixture(dict.fromkeys(providers, (Stage.LIVE, Stage.DESIRED)))
        if reference.cluster in clusters_of(either, self.proxy_class, reference.host):
            return
        for giver, taker in permutations(providers, 2):
            if self._removes(giver, reference) and not self._removes(taker, reference):
                yield Constraint((taker, Part.WIDENING), (giver, Part.NARROWING))

    def _removes(self, provider: ResourceId, reference: Reference) -> bool:
        alone = self.transition.state({provider: Stage.DESIRED})
        return reference.cluster not in clusters_of(alone, self.proxy_class, reference.host)

    def _responsible(self, reference: Reference, base: Snapshot, stage: Stage) -> Iterable[ResourceId]:
        """Return the providers without whose write the cluster would be missing; all, if no single one decides."""
        providers = self._providers(reference)
        alone = [
            one
            for one in providers
            if reference.cluster
            not in clusters_of(
                base.where({one: (self.transition.stages[one][stage],)}), self.proxy_class, reference.host
            )
        ]
        return alone or providers

    def _providers(self, reference: Reference) -> tuple[ResourceId, ...]:
        """Return the changed objects in the look-up path of a reference."""
        path: dict[ResourceId, None] = {}
        for snapshot in (self.live, self.desired):
            path.update(dict.fromkeys(snapshot.registry.get(reference.host, ())))
            for service in service_options(snapshot, self.proxy_class, reference.host):
                if service is not None:
                    path.update(dict.fromkeys(rules_in_path(snapshot, self.proxy_class, service)))
        return tuple(one for one in path if one in self.transition.stages)

    def _consumers(self, reference: Reference, base: Snapshot, stage: Stage) -> tuple[ResourceId, ...]:
        """Return the changed objects that made, or will make, the reference appear.

        Usually the VirtualService. Of a root and its delegate, the one without whose write the reference is not
        there decides. Where neither changes, the reference comes and goes with another object: an older rival
        that is deleted, or the Gateway that binds the route.
        """
        stages = self.transition.stages
        own = tuple(one for one in reference.chain if one in stages)
        deciding = (one for one in own if not self._shows(reference, base.where({one: (stages[one][stage],)})))
        if own:
            return own if len(own) == 1 else (next(deciding, own[0]),)
        return tuple(one for one in stages if one in self.transition.routes or one in base.gateways)

    def _shows(self, reference: Reference, snapshot: Snapshot) -> bool:
        return reference in references(snapshot, self.proxy_class, reference.chain[:1])
