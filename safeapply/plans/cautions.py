"""What no order of writes can help, and what could not be checked (DESIGN 4, last paragraph)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from safeapply.istio.kinds import DestinationRule, Traffic, VirtualService
from safeapply.istio.proxies import REVISION, Proxy
from safeapply.plans.changes import Change
from safeapply.plans.plan import Caution
from safeapply.plans.policies import denying
from safeapply.plans.transition import Transition
from safeapply.plans.versions import Stage
from safeapply.resources.objects import Resource, ResourceId

__all__ = ["cautions"]

ISTIO: Final = ".istio.io"


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
    """Warn of an object that only some istiods read (istio ``pkg/config/model.go``, ``LabelsInRevision``)."""
    labels = {found.labels.get(REVISION, "") for found in (change.live, change.desired) if found is not None}
    for revision in sorted(labels - {""}) if one.group.endswith(ISTIO) else ():
        others = sum(proxy.revision not in {"", revision} for proxy in proxies)
        if others:
            yield Caution(
                "other-revision",
                f"{one} bears {REVISION}={revision}: only istiods of that revision read it, and {others} of the "
                "proxies that run belong to others; it is planned as if all read it, and a barrier may stay shut: "
                "take the label away, or leave those proxies out with --exclude",
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
