"""What no order of writes can help, and what could not be checked (DESIGN 4, last paragraph)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from safeapply.istio.kinds import DestinationRule, VirtualService
from safeapply.istio.proxies import Proxy
from safeapply.istio.revisions import REVISION, read_by
from safeapply.istio.route_rules import Traffic
from safeapply.plans.changes import Change
from safeapply.plans.plan import Caution
from safeapply.plans.policies import denying
from safeapply.plans.transition import Transition
from safeapply.plans.versions import Stage
from safeapply.resources.objects import Resource, ResourceId

__all__ = ["cautions"]


def cautions(
    transition: Transition, resources: Mapping[ResourceId, Resource], proxies: Collection[Proxy]
) -> Iterator[Caution]:
    """Yield what the operator should know before the first write.

    Args:
        transition: from live to desired.
        resources: all that is live.
        proxies: the Envoys that run.
    """
    for stages in transition.stages.values():
        match stages[Stage.LIVE], stages[Stage.DESIRED]:
            case DestinationRule() as live, DestinationRule() as desired:
                yield from _relabelled(live, desired)
            case VirtualService() as live, VirtualService() as desired:
                yield from _connections(live, desired)
            case _:
                pass
    yield from _denying(transition, resources)
    for one, change in transition.changes.items():
        yield from _of_a_revision(one, change, proxies)
    if transition.assumed:
        yield _assumed(transition.assumed)


def _relabelled(live: DestinationRule, desired: DestinationRule) -> Iterator[Caution]:
    before = {subset.name: subset.labels for subset in live.subsets}
    for subset in desired.subsets:
        if before.get(subset.name, subset.labels) != subset.labels:
            yield Caution(
                "subset-relabelled",
                f"{desired.id} changes the labels of subset {subset.name} in place: the cluster keeps its "
                "name, so no barrier can tell old pods from new ones; prefer a new subset",
                (desired.id,),
            )


def _connections(live: VirtualService, desired: VirtualService) -> Iterator[Caution]:
    if _tcp(live) != _tcp(desired):
        yield Caution(
            "connections-drain",
            f"{desired.id} changes TCP or TLS routes: Envoy closes the connections that are open when the "
            "old listener has drained (45 s by default), in whatever order things are written",
            (desired.id,),
        )


def _denying(transition: Transition, resources: Mapping[ResourceId, Resource]) -> Iterator[Caution]:
    """Warn of policies that only together allow what was open (ISTIO.md 5.20)."""
    staying = (resource for one, resource in resources.items() if one not in transition.changes)
    pairs = denying(transition.changes.values(), staying, transition.mesh.mesh.root_namespace)
    found = tuple(sorted({one for pair in pairs for one in pair}))
    if found:
        names = ", ".join(map(str, found))
        yield Caution(
            "first-allow",
            f"the first ALLOW policy of a workload denies what it does not name, and none of {names} "
            "allows all that the others do: until they are all written, or all gone, some requests answer 403; put "
            "their rules into one policy",
            found,
        )


def _of_a_revision(one: ResourceId, change: Change, proxies: Collection[Proxy]) -> Iterator[Caution]:
    """Warn of an object for istiods of one revision where it cannot be told which proxies get it, or none does."""
    labels = {read_by(found) for found in (change.live, change.desired) if found is not None} - {None}
    silent = sorted(proxy.place for proxy in proxies if not proxy.revision)
    if labels and silent:
        more = f" and {len(silent) - 1} more" if len(silent) > 1 else ""
        yield Caution(
            "unknown-revision",
            f"{one} bears {REVISION}, and of {silent[0]}{more} nothing tells which revision injected it: a barrier "
            "waits for them as if they got the object; leave them out with --exclude if they do not",
            (one,),
        )
    for revision in sorted(filter(None, labels)):
        if proxies and not silent and all(proxy.revision != revision for proxy in proxies):
            yield Caution(
                "other-revision",
                f"{one} bears {REVISION}={revision}, and no proxy that runs was injected by that revision, so none "
                "gets it; the name of a tag is not understood there",
                (one,),
            )


def _tcp(route: VirtualService) -> tuple[object, ...]:
    return tuple(rule for rule in route.rules if rule.traffic is not Traffic.HTTP)


def _assumed(objects: tuple[ResourceId, ...]) -> Caution:
    return Caution(
        "assumed",
        f"taken to exist, because no file declares them: {', '.join(sorted(map(str, objects)))}",
        objects,
    )
