"""What one Envoy has asked for and been sent over one delta stream. Pure: requests in, responses out.

As istiod does it (ISTIO.md 0.1, 7.2): in one push CDS, EDS, LDS, RDS follow each other without waiting for an ACK,
removed clusters stand in CDS, a resource has no version, and what did not change is not sent.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import assert_never

from safeapply.sandbox.controlplane.faults import Faults
from safeapply.sandbox.controlplane.translation.configuration import Configuration
from safeapply.sandbox.controlplane.translation.metadata import Json

__all__ = ["Nonces", "Request", "Response", "Session", "Xds"]

EVERYTHING = "*"


class Xds(Enum):
    """The types of a push, in their order (istio ``PushOrder``)."""

    CDS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    EDS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
    LDS = "type.googleapis.com/envoy.config.listener.v3.Listener"
    RDS = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"

    @property
    def is_whole(self) -> bool:
        """Whether an Envoy asks for all of them, and not for names."""
        return self in {Xds.CDS, Xds.LDS}


@dataclass(frozen=True, slots=True)
class Request:
    """What matters of a ``DeltaDiscoveryRequest``."""

    type: Xds
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    """What the Envoy still has from an earlier stream."""
    nonce: str = ""
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """What becomes a ``DeltaDiscoveryResponse``."""

    type: Xds
    nonce: str
    resources: Mapping[str, Json]
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Nonces:
    """Which response of a type was sent last, and which was accepted last; empty where there was none."""

    sent: str = ""
    accepted: str = ""


@dataclass(slots=True)
class _Subscription:
    names: set[str] = field(default_factory=set)
    sent: dict[str, Json] = field(default_factory=dict)
    unanswered: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the resources in each response that was neither accepted nor refused."""
    nonces: Nonces = field(default_factory=Nonces)


class Session:
    """One Envoy's stream."""

    def __init__(
        self, proxy: str, configuration: Configuration, faults: Faults, send: Callable[[Response], None]
    ) -> None:
        self.proxy = proxy
        self._configuration = configuration
        self._faults = faults
        self._send = send
        self._subscriptions: dict[Xds, _Subscription] = {}
        self._count = itertools.count(1)
        self.refused: dict[Xds, str] = {}
        """What the Envoy said of the last response of a type, where it refused that."""

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The types for which an answer is out; for CDS as long as a cluster warms (ENVOY.md 2)."""
        return tuple(
            each.name for each in Xds if each in self._subscriptions and self._subscriptions[each].unanswered
        )

    @property
    def nonces(self) -> Mapping[Xds, Nonces]:
        """What was sent and what was accepted of each type that the Envoy has asked for."""
        return {kind: subscription.nonces for kind, subscription in self._subscriptions.items()}

    def receive(self, request: Request) -> None:
        """Take a request in and answer what is asked anew, at once."""
        first = request.type not in self._subscriptions
        subscription = self._subscriptions.setdefault(request.type, _Subscription())
        self._close(subscription, request)
        for name in request.unsubscribe:
            subscription.names.discard(name)
            subscription.sent.pop(name, None)
        new = set(request.subscribe) - {EVERYTHING}
        subscription.names |= new
        if first and request.type.is_whole:
            wanted = self._wanted(request.type)
            gone = tuple(name for name in request.known if name not in wanted)
            self._respond(request.type, wanted, gone)
        elif new and not request.type.is_whole:
            asked = {name: each for name, each in self._wanted(request.type).items() if name in new}
            self._respond(request.type, self._sendable(request.type, asked))

    def push(self, configuration: Configuration) -> tuple[str, ...]:
        """Send what changed, and return its types."""
        self._configuration = configuration
        moved: frozenset[str] = frozenset()
        types: list[str] = []
        for kind in Xds:
            subscription = self._subscriptions.get(kind)
            if subscription is None:
                continue
            wanted = self._wanted(kind)
            changed = {name: each for name, each in wanted.items() if subscription.sent.get(name) != each}
            if kind is Xds.CDS:
                moved = frozenset(changed)
            elif kind is Xds.EDS:
                # An updated cluster warms until its endpoints come again, and Envoy does not ask (ENVOY.md 2).
                changed |= {name: wanted[name] for name in moved if name in wanted}
            changed = self._sendable(kind, changed)
            removed = tuple(name for name in subscription.sent if name not in wanted) if kind.is_whole else ()
            if changed or removed:
                self._respond(kind, changed, removed)
                types.append(kind.name)
        return tuple(types)

    def push_again(self) -> tuple[str, ...]:
        """Send what a fault kept back."""
        return self.push(self._configuration)

    def _wanted(self, kind: Xds) -> Mapping[str, Json]:
        found = self._configuration
        names = self._subscriptions[kind].names
        match kind:
            case Xds.CDS:
                return found.clusters
            case Xds.LDS:
                return found.listeners
            case Xds.EDS:
                return {name: found.endpoints[name] for name in names if name in found.endpoints}
            case Xds.RDS:
                return {name: found.routes.get(name) or _no_routes(name) for name in names}
            case never:
                assert_never(never)

    def _sendable(self, kind: Xds, resources: dict[str, Json]) -> dict[str, Json]:
        """Leave out what is withheld, and remember that it is owed."""
        if kind is not Xds.EDS:
            return resources
        sent = self._subscriptions[kind].sent
        for name in resources.keys() & self._faults.withheld:
            sent.pop(name, None)
        return {name: each for name, each in resources.items() if name not in self._faults.withheld}

    def _respond(self, kind: Xds, resources: Mapping[str, Json], removed: Iterable[str] = ()) -> None:
        if not resources and not removed and not kind.is_whole:
            return
        subscription = self._subscriptions[kind]
        nonce = f"{next(self._count)}={uuid.uuid4()}"
        gone = tuple(removed)
        subscription.sent.update(resources)
        for name in gone:
            subscription.sent.pop(name, None)
        subscription.unanswered[nonce] = tuple(resources)
        subscription.nonces = replace(subscription.nonces, sent=nonce)
        spoilt = self._faults.corrupted.get((self.proxy, kind.name))
        if spoilt is not None:
            resources = {
                name: each if spoilt and name not in spoilt else _spoilt(kind, each)
                for name, each in resources.items()
            }
        self._send(Response(kind, nonce, resources, gone))

    def _close(self, subscription: _Subscription, request: Request) -> None:
        """Take an ACK or a NACK for what it is; what was refused is sent again with the next push."""
        names = subscription.unanswered.pop(request.nonce, None)
        if names is None:
            return
        self.refused.pop(request.type, None)
        if request.refusal:
            self.refused[request.type] = request.refusal
            for name in names:
                subscription.sent.pop(name, None)
        else:
            subscription.nonces = replace(subscription.nonces, accepted=request.nonce)


def _no_routes(name: str) -> Json:
    """Return what istiod sends for a name that it does not know: a draining listener may still ask for it."""
    return {"name": name, "virtual_hosts": [], "validate_clusters": False}


def _spoilt(kind: Xds, resource: Json) -> Json:
    """Return the resource with one fault that Envoy refuses."""
    match kind:
        case Xds.CDS:
            return {**resource, "lb_policy": "CLUSTER_PROVIDED", "type": "STATIC", "eds_cluster_config": None}
        case Xds.EDS:
            return {**resource, "cluster_name": "spoilt"}
        case Xds.LDS:
            return {**resource, "filter_chains": []}
        case Xds.RDS:
            twice = [{"name": name, "domains": ["*"]} for name in ("spoilt", "spoilt too")]
            return {**resource, "virtual_hosts": twice}
        case never:
            assert_never(never)
