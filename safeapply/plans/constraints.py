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
from safeapply.istio.scopes import scope_of
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.subsets import rules_in_path
from safeapply.istio.view import View, Views
from safeapply.plans.route_order import route_order
from safeapply.plans.transition import Transition
from safeapply.plans.versions import Stage
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
    live, desired = Views(transition.live), Views(transition.desired)
    for locality in transition.localities():
        for proxy_class, alike in locality.crowds.items():
            before, after = (views.of(proxy_class, locality.routes) for views in (live, desired))
            comparison = _Comparison(transition, proxy_class, live, desired, before, after)
            constraints.update(comparison.constraints())
            missing = tuple(comparison.dangling())
            dangling.extend(Dangling(one, reference) for one in alike for reference in missing)
    return Findings(frozenset(constraints), tuple(dangling))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Live and desired, as one class of proxies gets them."""

    transition: Transition
    proxy_class: ProxyClass
    live: Views
    desired: Views
    before: View
    after: View

    def dangling(self) -> Iterator[Reference]:
        """Yield the hard references that will miss their cluster, unless they miss it today."""
        missing_today = {(ref.domain, ref.port, ref.cluster) for ref in self.before.dangling() if ref.hard}
        for reference in self.after.dangling():
            if reference.hard and (reference.domain, reference.port, reference.cluster) not in missing_today:
                yield reference

    def constraints(self) -> Iterator[Constraint]:
        for reference in self.before.references | self.after.references:
            there = self.live.clusters(self.proxy_class, reference.host)
            kept = self.desired.clusters(self.proxy_class, reference.host)
            # A mirror whose cluster is not there yet costs its caller nothing (ISTIO.md 1.3), so nobody waits.
            if reference.hard and reference in self.after.references and reference.cluster in kept - there:
                yield from self._needs(reference)
            if reference in self.before.references and reference.cluster in there - kept:
                yield from self._lets_go(reference)
            if reference.cluster in there & kept:
                yield from self._hands_over(reference)
        yield from self._aliases()

    def _needs(self, reference: Reference) -> Iterator[Constraint]:
        """A new reference after whoever provides its cluster."""
        for provider in self._responsible(reference, self.desired.snapshot, Stage.LIVE):
            for consumer in self._consumers(reference, self.desired.snapshot, Stage.LIVE):
                if consumer != provider or provider in self.transition.routes:
                    yield Constraint((provider, Part.WIDENING), (consumer, Part.WHOLE))

    def _lets_go(self, reference: Reference) -> Iterator[Constraint]:
        """A removal after every old reference."""
        for provider in self._responsible(reference, self.live.snapshot, Stage.DESIRED):
            for consumer in self._consumers(reference, self.live.snapshot, Stage.DESIRED):
                if consumer != provider or provider in self.transition.routes:
                    yield Constraint((consumer, Part.WHOLE), (provider, Part.NARROWING))

    def _aliases(self) -> Iterator[Constraint]:
        """What names an alias after the alias, which goes after that: else the name is a host that nobody has."""
        for reference in self.after.references:
            for alias in self._resolving(reference, self.desired.snapshot, Stage.LIVE):
                yield from (Constraint((alias, Part.WIDENING), (o, Part.WHOLE)) for o in self._changed(reference))
        for reference in self.before.references:
            for alias in self._resolving(reference, self.live.snapshot, Stage.DESIRED):
                yield from (Constraint((o, Part.WHOLE), (alias, Part.NARROWING)) for o in self._changed(reference))

    def _resolving(self, reference: Reference, base: Snapshot, stage: Stage) -> Iterator[ResourceId]:
        """Yield the changed aliases without whose write a reference would have another cluster (ISTIO.md 1.2)."""
        stages = self.transition.stages
        declaring = base.index.registry.get(reference.alias, ()) if reference.alias is not None else ()
        for one in (one for one in declaring if one in stages):
            if not self._shows(reference, base.where({one: (stages[one][stage],)})):
                yield one

    def _changed(self, reference: Reference) -> Iterator[ResourceId]:
        return (one for one in reference.chain if one in self.transition.stages)

    def _hands_over(self, reference: Reference) -> Iterator[Constraint]:
        """Of two objects that provide one cluster in turn, the new one first."""
        providers = self._providers(reference)
        if len(providers) < 2:  # noqa: PLR2004  it takes two to hand over
            return
        stages = self.transition.stages
        either = {one: (stages[one][Stage.LIVE], stages[one][Stage.DESIRED]) for one in providers}
        if self._exists(reference, self.live.snapshot.where(either)):
            return
        for giver, taker in permutations(providers, 2):
            if self._removes(giver, reference) and not self._removes(taker, reference):
                yield Constraint((taker, Part.WIDENING), (giver, Part.NARROWING))

    def _removes(self, provider: ResourceId, reference: Reference) -> bool:
        desired = (self.transition.stages[provider][Stage.DESIRED],)
        return not self._exists(reference, self.live.snapshot.where({provider: desired}))

    def _exists(self, reference: Reference, snapshot: Snapshot) -> bool:
        return reference.cluster in Views(snapshot).clusters(self.proxy_class, reference.host)

    def _responsible(self, reference: Reference, base: Snapshot, stage: Stage) -> Iterable[ResourceId]:
        """Return the providers without whose write the cluster would be missing.

        If no single one decides, one that is enough by itself; if there is none, all.
        """
        providers = self._providers(reference)
        stages = self.transition.stages
        alone = [one for one in providers if not self._exists(reference, base.where({one: (stages[one][stage],)}))]
        if alone:
            return alone
        other, far = (Stage.DESIRED, self.live) if stage is Stage.LIVE else (Stage.LIVE, self.desired)
        enough = (o for o in providers if self._exists(reference, far.snapshot.where({o: (stages[o][other],)})))
        chosen = next(enough, None)
        return providers if chosen is None else (chosen,)

    def _providers(self, reference: Reference) -> tuple[ResourceId, ...]:
        """Return the changed objects in the look-up path of a reference."""
        path: dict[ResourceId, None] = {}
        for snapshot in (self.live.snapshot, self.desired.snapshot):
            path.update(dict.fromkeys(snapshot.index.registry.get(reference.host, ())))
            for service in service_options(snapshot, self.proxy_class, reference.host):
                if service is not None:
                    path.update(dict.fromkeys(rules_in_path(snapshot, self.proxy_class, service)))
            path.update(dict.fromkeys(scope_of(snapshot, self.proxy_class, reference.host)))
        return tuple(one for one in path if one in self.transition.stages)

    def _consumers(self, reference: Reference, base: Snapshot, stage: Stage) -> tuple[ResourceId, ...]:
        """Return the changed objects that made, or will make, the reference appear.

        Usually the VirtualService. Of a root and its delegate, the one without whose write the reference is not
        there decides. Where neither changes, the reference comes and goes with another object: an older rival
        that is deleted, or the Gateway that binds the route.
        """
        stages = self.transition.stages
        # What a destination is an alias of, the alias decides (ISTIO.md 1.2).
        aliases = base.index.registry.get(reference.alias, ()) if reference.alias else ()
        own = tuple(one for one in (*reference.chain, *aliases) if one in stages)
        deciding = (one for one in own if not self._shows(reference, base.where({one: (stages[one][stage],)})))
        if own:
            return own if len(own) == 1 else (next(deciding, own[0]),)
        return tuple(one for one in stages if one in self.transition.routes or one in base.index.gateways)

    def _shows(self, reference: Reference, snapshot: Snapshot) -> bool:
        return reference in references(snapshot, self.proxy_class, reference.chain[:1])
