"""The pinned client: plaintext for as long as automatic mTLS would move under it (ISTIO.md 6.5).

One PeerAuthentication drives what servers accept and what clients send, at different moments. A DestinationRule
that says DISABLE holds the clients still while the servers change. Where no rule of the set can say so, there is
one that lives only as long as the rollout.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from safeapply.istio.kinds import DESTINATION_RULE
from safeapply.plans.changes import Change
from safeapply.resources.objects import Document, Namespace, Resource, ResourceId
from safeapply.xds.names import ClusterName, Host, parse_cluster

__all__ = ["PINS_FOR", "is_mark", "leftover_pins", "new_pin", "pinned"]

PINS_FOR: Final = "safeapply.dev/pins-for"
"""The annotation of a rule that lives for a rollout: the PeerAuthentications for whose change it was made."""
MARK: Final = "safeapply-pin"
"""A subset that is in a rule as long as it pins: the cluster shows on every Envoy that the pin has arrived."""
OWN_TLS: Final = frozenset({"SIMPLE", "MUTUAL"})
"""TLS that the application answers: no business of the sidecars, and nothing to be pinned."""


def pinned(spec: Document) -> Document:
    """Return a DestinationRule by which clients send plaintext wherever they would send mTLS, or might."""
    subsets = [
        {**one, "trafficPolicy": _pinned(one["trafficPolicy"], inherits=True)} if one.get("trafficPolicy") else one
        for one in spec.get("subsets") or ()
    ]
    policy = _pinned(spec.get("trafficPolicy") or {}, inherits=False)
    return {**spec, "trafficPolicy": policy, "subsets": [*subsets, {"name": MARK}]}


def _pinned(policy: Document, *, inherits: bool) -> Document:
    found: dict[str, Any] = {**policy}
    if policy.get("portLevelSettings"):
        # The settings of a port replace the others even where they say nothing of TLS (ISTIO.md 6.3).
        found["portLevelSettings"] = [_plain(one) for one in policy["portLevelSettings"]]
    return found if inherits and not policy.get("tls") else _plain(found)


def _plain(policy: Document) -> Document:
    own = (policy.get("tls") or {}).get("mode") in OWN_TLS
    return policy if own else {**policy, "tls": {"mode": "DISABLE"}}


def new_pin(
    host: Host, namespace: Namespace, taken: Collection[ResourceId], why: Iterable[ResourceId], export_to: object
) -> Resource:
    """Return a rule that pins the clients of a host, of a name that nobody bears yet.

    Args:
        host: whose clients send plaintext.
        namespace: the host's own.
        taken: the objects that there are.
        why: the PeerAuthentications that change.
        export_to: that of the rules it has to be merged with (ISTIO.md 3.3); None for none.
    """
    base = f"safeapply-pin-{host.partition('.')[0].lstrip('*') or 'all'}"
    names = (base if not number else f"{base}-{number}" for number in range(len(taken) + 1))
    ids = (ResourceId(DESTINATION_RULE.group, DESTINATION_RULE.kind, namespace, name) for name in names)
    one = next(one for one in ids if one not in taken)
    annotations = {PINS_FOR: ",".join(sorted(f"{p.namespace}/{p.name}" for p in why))}
    spec = pinned({"host": host, **({"exportTo": export_to} if export_to else {})})
    return Resource(
        one,
        {
            "apiVersion": f"{one.group}/v1",
            "kind": one.kind,
            "metadata": {"name": one.name, "namespace": one.namespace, "annotations": annotations},
            "spec": spec,
        },
    )


def is_mark(cluster: ClusterName) -> bool:
    """Tell whether a cluster is only there to show that a pin is."""
    parts = parse_cluster(cluster)
    return parts is not None and parts.subset == MARK


def leftover_pins(live: Mapping[ResourceId, Resource], concerned: Collection[ResourceId]) -> Iterator[Change]:
    """Yield the removal of what a rollout that was killed has left, if it is this one that goes on.

    Args:
        live: all that is live.
        concerned: the objects that this rollout wants to be as they are desired.
    """
    names = {f"{one.namespace}/{one.name}" for one in concerned}
    for one, resource in live.items():
        made_for = resource.annotations.get(PINS_FOR)
        if made_for is not None and one not in concerned and not names.isdisjoint(made_for.split(",")):
            yield Change(one, resource, None, None)
