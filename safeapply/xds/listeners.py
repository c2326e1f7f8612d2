"""Which clusters an Envoy's listeners name, and which of these names come from a VirtualService.

istiod gives the TCP port of every Service a listener that names its default cluster, and takes both together. A
VirtualService's chain says in its metadata where it is from (istio ``pilot/pkg/networking/core/tls.go``). One for
destination subnets does not, but is bound to an address, where no Service's own chain asks for prefixes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from safeapply.xds.configdump import Dump, decoded
from safeapply.xds.names import ClusterName, Origin
from safeapply.xds.references import EVERYTHING, Interest, named, part

__all__ = ["Listeners", "listeners"]

T = TypeVar("T")
WANTED_ROUTES = re.compile(rb'"route_config_name":\s*("(?:[^"\\]|\\.)*")')
NOTHING = msgspec.Raw(b"")
STATES = ("active_state", "warming_state", "draining_state")
ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - nothing is bound to it


@dataclass(frozen=True, slots=True)
class Listeners:
    """The clusters of interest that listeners name, and the route configurations that they want."""

    references: Mapping[ClusterName, str]
    """For each cluster a listener that names it, with its state where it is not the active one."""
    route_configs: frozenset[str]
    routed: Mapping[ClusterName, str] = field(default_factory=dict)
    """The same of names that come from a VirtualService."""
    origins: Mapping[Origin, str] = field(default_factory=dict)
    """For each object of interest a listener that comes from it."""


class _Listener(msgspec.Struct):
    name: str = ""
    active_state: msgspec.Raw = NOTHING
    warming_state: msgspec.Raw = NOTHING
    draining_state: msgspec.Raw = NOTHING


class _Match(msgspec.Struct):
    prefix_ranges: list[Any] = []


class _Filter(msgspec.Struct):
    typed_config: dict[str, Any] = msgspec.field(default_factory=dict)


class _Chain(msgspec.Struct):
    filter_chain_match: _Match = msgspec.field(default_factory=_Match)
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    filters: list[_Filter] = []


class _SocketAddress(msgspec.Struct):
    address: str = ""


class _Address(msgspec.Struct):
    socket_address: _SocketAddress = msgspec.field(default_factory=_SocketAddress)


class _Config(msgspec.Struct):
    address: _Address = msgspec.field(default_factory=_Address)
    filter_chains: list[_Chain] = []
    default_filter_chain: _Chain | None = None


class _State(msgspec.Struct):
    listener: _Config = msgspec.field(default_factory=_Config)


def listeners(status: int, body: bytes, interest: Interest = EVERYTHING, *, has_defaults: bool = True) -> Listeners:
    """Return what all listeners of an answer name, in whatever state they are.

    Args:
        status: of the answer.
        body: of the answer.
        interest: which clusters are asked about.
        has_defaults: whether istiod makes listeners for Services here; a gateway's all come from VirtualServices.

    Raises:
        UnreadableError: the answer proves nothing.
    """
    references: dict[ClusterName, str] = {}
    routed: dict[ClusterName, str] = {}
    origins: dict[Origin, str] = {}
    wanted: set[str] = set()
    for one in decoded(status, body, Dump[_Listener]).configs:
        for state in STATES:
            config = bytes(getattr(one, state))
            where = one.name + ("" if state == "active_state" else f" ({state.removesuffix('_state')})")
            if config and interest.may_be_in(config):
                _note(references, interest.among(named(part(config, object))), where)
                made = _routed(part(config, _State).listener, has_defaults=has_defaults)
                _note(routed, interest.among(made), where)
                _note(origins, interest.origins_in(config), where)
            if state != "draining_state":
                wanted.update(part(name, str) for name in WANTED_ROUTES.findall(config))
    return Listeners(references, frozenset(wanted), routed, origins)


def _note(known: dict[T, str], names: Iterable[T], where: str) -> None:
    for name in names:
        known.setdefault(name, where)


def _routed(config: _Config, *, has_defaults: bool) -> Iterator[ClusterName]:
    bound = config.address.socket_address.address not in ANY_ADDRESS
    for chain in (*config.filter_chains, *filter(None, [config.default_filter_chain])):
        by_subnet = bound and bool(chain.filter_chain_match.prefix_ranges)
        whole = not has_defaults or by_subnet or _comes_from_config(chain.metadata)
        for one in chain.filters:
            yield from _forwarded(one.typed_config) if whole else _of_routes(one.typed_config)


def _forwarded(config: Mapping[str, Any]) -> Iterator[ClusterName]:
    """Yield where a filter sends connections and requests, which is not where it sends its logs."""
    kept = {key: config[key] for key in ("cluster", "weighted_clusters", "route_config") if key in config}
    yield from named(kept)


def _of_routes(config: Mapping[str, Any]) -> Iterator[ClusterName]:
    """Yield where those inline routes go that come from a VirtualService."""
    for host in (config.get("route_config") or {}).get("virtual_hosts") or ():
        yield from named([one for one in host.get("routes") or () if _comes_from_config(one.get("metadata") or {})])


def _comes_from_config(metadata: Mapping[str, Any]) -> bool:
    return bool(((metadata.get("filter_metadata") or {}).get("istio") or {}).get("config"))
