"""Which pods run istiod, and what each replica says of itself on its debug pages (ISTIO.md 7.6).

Hearsay, and used as such: ``/debug/syncz`` tells who is connected and has confirmed what was sent, not what that
was; ``/debug/configz`` tells which objects have reached the replica, not that a proxy has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from safeapply.errors import IstiodError
from safeapply.istio.kinds import POD
from safeapply.istio.mesh_settings import config_of
from safeapply.istio.proxies import Proxy, revision_of
from safeapply.resources.objects import Namespace, Resource, ResourceId

__all__ = [
    "CONFIGZ",
    "SYNCZ",
    "Census",
    "Connected",
    "Hearing",
    "Replica",
    "Spoken",
    "Written",
    "configs_of",
    "connected",
    "known_versions",
    "replica_of_pod",
    "writes_to",
    "written",
]

SYNCZ = "/debug/syncz"
CONFIGZ = "/debug/configz"
ISTIOD = {"app": "istiod"}
"""The label by which istioctl finds them, too."""
ISTIO = ".istio.io"
"""The end of the groups that istiod reads as configuration."""
OK = 200

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Replica:
    """One pod of istiod."""

    namespace: Namespace
    pod: str
    uid: str
    revision: str = ""
    cluster: str = ""
    """Which cluster it runs in, where a mesh has several; empty in the one that holds the configuration."""

    @property
    def id(self) -> str:
        """``pod.namespace``, and before it the cluster."""
        name = f"{self.pod}.{self.namespace}"
        return f"{self.cluster}/{name}" if self.cluster else name


@dataclass(frozen=True, slots=True)
class Connected:
    """What a replica says of one proxy that is connected to it."""

    proxy: str
    """``pod.namespace``."""
    version: str
    """The version of Istio that the proxy runs, by its own word."""
    unconfirmed: tuple[str, ...]
    """The types (``CDS``, ``LDS``, ``RDS``, ``EDS``) that were sent and not accepted: under way, or refused."""
    rejected: Mapping[str, str]
    """Envoy's words on each type that it refused; only newer istiods tell."""
    cluster_id: str = ""
    """How Istio calls the proxy's cluster; empty where istiod does not tell."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What one replica of istiod said, or why it said nothing."""

    replica: Replica
    connected: tuple[Connected, ...] = ()
    silence: str = ""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What is said of proxies, to be found by the proxy: two clusters may have one of the same name."""

    _by_name: dict[tuple[str, str], tuple[Replica, Connected]] = field(default_factory=dict)

    @classmethod
    def of(cls, hearings: Iterable[Hearing]) -> Spoken:
        """Return what some replicas say; of two that know one proxy, the one that tells of a refusal."""
        told = ((hearing.replica, one) for hearing in hearings for one in hearing.connected)
        by_refusal = sorted(told, key=lambda pair: bool(pair[1].rejected))
        return cls({(one.cluster_id, one.proxy): (replica, one) for replica, one in by_refusal})

    def about(self, proxy: Proxy) -> tuple[Replica, Connected] | None:
        """Return who knows a proxy, and what he says; None where nobody does."""
        return self._by_name.get((proxy.cluster_id, proxy.name)) or self._by_name.get(("", proxy.name))


@dataclass(frozen=True, slots=True)
class Census:
    """Every proxy that runs, and the word of every replica."""

    proxies: tuple[Proxy, ...]
    hearings: tuple[Hearing, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """One version of an object that istiod has to have seen; or its deletion."""

    id: ResourceId
    version: str
    """Its resourceVersion; of a deleted object, the last that it had."""
    revision: str = ""
    """The one revision that reads it; empty where all do."""
    created: bool = False
    """Whether it is new: a replica that lacks it may just not have heard of it."""
    deleted: bool = False

    def is_seen_in(self, known: Mapping[ResourceId, str]) -> bool:
        """Tell whether a replica that has these versions is past this write."""
        version = known.get(self.id)
        if self.deleted:
            return version is None or _is_past(version, self.version)
        if version is None:
            # What a replica lacks that was there before, it does not read: it lies outside its discovery selectors.
            return not self.created
        return version == self.version or _is_past(version, self.version)

    def concerns(self, replica: Replica) -> bool:
        """Tell whether the replica reads such objects at all."""
        return self.id.group.endswith(ISTIO) and self.revision in {"", replica.revision}


def written(resource: Resource, *, created: bool = False, deleted: bool = False) -> Written:
    """Return the write that led to an object as it is."""
    return Written(resource.id, resource.resource_version, revision_of(resource), created, deleted)


def writes_to(live: Iterable[Resource]) -> tuple[Written, ...]:
    """Return the last writes of all live objects that istiod reads as configuration."""
    return tuple(written(one) for one in live if one.id.group.endswith(ISTIO))


def replica_of_pod(pod: Resource, root_namespace: Namespace) -> Replica | None:
    """Return the replica that a pod runs, or None where it runs none, or has ended."""
    ended = (pod.document.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
    if pod.id.namespace != root_namespace or ended or not ISTIOD.items() <= pod.labels.items():
        return None
    uid = str(pod.metadata.get("uid", ""))
    return Replica(pod.id.namespace, pod.id.name, uid, revision_of(pod), pod.id.cluster)


def configs_of(objects: Iterable[Resource], root_namespace: Namespace) -> tuple[ResourceId, ...]:
    """Return the ConfigMaps that hold the MeshConfig of the replicas that run; without any, that of the default."""
    replicas = (replica_of_pod(one, root_namespace) for one in objects if one.id.group_kind == POD)
    revisions = {one.revision for one in replicas if one is not None and not one.cluster}
    return tuple(dict.fromkeys(config_of(root_namespace, each) for each in sorted(revisions or {""})))


def connected(replica: Replica, status: int, body: bytes) -> tuple[Connected, ...]:
    """Return the proxies that a replica serves, from what it answered to ``SYNCZ``.

    Raises:
        IstiodError: the answer cannot be read.
    """
    return tuple(_connected(one) for one in _decoded(replica, SYNCZ, status, body, _PROXIES) if one.proxy)


def known_versions(replica: Replica, status: int, body: bytes) -> Mapping[ResourceId, str]:
    """Return the resourceVersion of every object that a replica has, from what it answered to ``CONFIGZ``.

    Raises:
        IstiodError: the answer cannot be read.
    """
    return dict(map(_version, _decoded(replica, CONFIGZ, status, body, _OBJECTS)))


class _Resources(msgspec.Struct):
    """One type in the form of newer istiods."""

    sent: str = ""
    acked: str = ""
    last_error: str = msgspec.field(name="lastError", default="")


class _Sync(msgspec.Struct):
    """istiod's ``SyncStatus``: nonces of what was sent last, and of what was accepted last."""

    cluster_id: str = ""
    proxy: str = ""
    istio_version: str = ""
    cluster_sent: str = ""
    cluster_acked: str = ""
    listener_sent: str = ""
    listener_acked: str = ""
    route_sent: str = ""
    route_acked: str = ""
    endpoint_sent: str = ""
    endpoint_acked: str = ""
    resources: dict[str, _Resources] | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    namespace: str = ""
    resource_version: str = ""


class _Object(msgspec.Struct, rename="camel"):
    """The head of an object; specs are by far the most of megabytes, and are skipped unread."""

    kind: str
    api_version: str
    metadata: _Metadata


_PROXIES = msgspec.json.Decoder(list[_Sync] | None)
_OBJECTS = msgspec.json.Decoder(list[_Object] | None)
_SHORT = {
    "type.googleapis.com/envoy.config.cluster.v3.Cluster": "CDS",
    "type.googleapis.com/envoy.config.listener.v3.Listener": "LDS",
    "type.googleapis.com/envoy.config.route.v3.RouteConfiguration": "RDS",
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment": "EDS",
}


def _decoded(
    replica: Replica, path: str, status: int, body: bytes, decoder: msgspec.json.Decoder[list[_Read] | None]
) -> list[_Read]:
    if status != OK:
        raise IstiodError(replica.id, f"it answered {path} with HTTP {status}")
    try:
        return decoder.decode(body) or []
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise IstiodError(replica.id, f"its answer to {path} cannot be read ({error})") from error


def _connected(sync: _Sync) -> Connected:
    types = dict(_types(sync))
    return Connected(
        proxy=sync.proxy,
        version=sync.istio_version,
        unconfirmed=tuple(name for name, one in types.items() if one.sent != one.acked),
        rejected={name: one.last_error for name, one in types.items() if one.last_error},
        cluster_id=sync.cluster_id,
    )


def _types(sync: _Sync) -> Iterator[tuple[str, _Resources]]:
    told = sync.resources or {}
    yield "CDS", _Resources(sync.cluster_sent, sync.cluster_acked)
    yield "LDS", _Resources(sync.listener_sent, sync.listener_acked)
    yield "RDS", _Resources(sync.route_sent, sync.route_acked)
    yield "EDS", _Resources(sync.endpoint_sent, sync.endpoint_acked)
    # Later pairs win: where both forms are there, the newer one says more.
    yield from ((_SHORT[url], one) for url, one in told.items() if url in _SHORT)


def _is_past(version: str, other: str) -> bool:
    """Compare resourceVersions: Kubernetes numbers them (KEP-5504); what is no number is not past anything."""
    return version.isdecimal() and other.isdecimal() and int(version) > int(other)


def _version(one: _Object) -> tuple[ResourceId, str]:
    group, _, _ = one.api_version.rpartition("/")
    identity = ResourceId(group, one.kind, Namespace(one.metadata.namespace), one.metadata.name)
    return identity, one.metadata.resource_version
