"""Which clusters an Envoy's route configurations name: searched as bytes first, decoded only where one is found.

Bodies are large and most of them name nothing that is in play. A name stands in quotes, so that no other name can
be taken for it; searching runs at gigabytes a second, decoding does not (ENVOY.md 4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from safeapply.xds.configdump import Dump, UnreadableError, decoded
from safeapply.xds.names import ClusterName, Host, Origin

__all__ = ["EVERYTHING", "Interest", "RouteConfig", "marks", "named", "part", "route_configs"]

T = TypeVar("T")
PLAIN = re.compile(r"[A-Za-z0-9.|*_~:/@=+,-]+")
"""What JSON never escapes; another name is not searched for as bytes, but decoded for."""


@dataclass(frozen=True, slots=True)
class Interest:
    """What an inquiry wants to know of routes and listeners; by default everything."""

    clusters: frozenset[ClusterName] | None = None
    domains: frozenset[Host] = frozenset()
    origins: frozenset[Origin] = frozenset()
    _needles: tuple[bytes, ...] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        names = (*(self.clusters or ()), *self.domains, *(origin.path for origin in self.origins))
        if self.clusters is not None and all(PLAIN.fullmatch(name) for name in names):
            quoted = (f'"{name}"' for name in self.clusters)
            opened = (f'"{domain}' for domain in self.domains)
            closed = (f'{origin.path}"' for origin in self.origins)
            object.__setattr__(self, "_needles", tuple(one.encode() for one in (*quoted, *opened, *closed)))

    def may_be_in(self, body: bytes | memoryview | msgspec.Raw) -> bool:
        """Tell whether some JSON may say anything of interest; a no is certain."""
        if self._needles is None:
            return True
        text = body if isinstance(body, bytes) else bytes(body)
        return any(needle in text for needle in self._needles)

    def origins_in(self, text: bytes | msgspec.Raw) -> frozenset[Origin]:
        """Return those origins of interest whose mark some JSON bears; names of objects are never escaped."""
        body = bytes(text) if self.origins else b""
        return frozenset(one for one in self.origins if f'{one.path}"'.encode() in body)

    def among(self, names: Iterable[ClusterName]) -> frozenset[ClusterName]:
        """Return those of some names that are of interest."""
        return frozenset(names) if self.clusters is None else self.clusters.intersection(names)


EVERYTHING = Interest()


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """The clusters of interest that one route configuration names."""

    name: str
    last_updated: str
    virtual_hosts: tuple[tuple[frozenset[str], frozenset[ClusterName]], ...]
    """For each virtual host that is of interest its domains and the clusters of its routes and mirrors."""
    origins: frozenset[Origin] = frozenset()
    """The objects of interest that something in it comes from."""

    @property
    def references(self) -> frozenset[ClusterName]:
        """Every cluster that is named."""
        return frozenset(name for _, names in self.virtual_hosts for name in names)


class _Named(msgspec.Struct):
    name: str = ""


class _RouteConfigHead(msgspec.Struct):
    """What has to be known of a configuration in which nothing is of interest."""

    route_config: _Named = msgspec.field(default_factory=_Named)
    last_updated: str = ""


class _VirtualHost(msgspec.Struct):
    domains: list[str] = []
    routes: list[Any] = []
    request_mirror_policies: list[Any] = []


class _RouteConfiguration(msgspec.Struct):
    name: str = ""
    virtual_hosts: list[msgspec.Raw] = []
    request_mirror_policies: list[Any] = []


class _DynamicRouteConfig(msgspec.Struct):
    route_config: _RouteConfiguration = msgspec.field(default_factory=_RouteConfiguration)
    last_updated: str = ""


def route_configs(status: int, body: bytes, interest: Interest = EVERYTHING) -> tuple[RouteConfig, ...]:
    """Return the route configurations of an answer, with what is of interest in them.

    Raises:
        UnreadableError: the answer proves nothing.
    """
    if not interest.may_be_in(body):
        return tuple(
            RouteConfig(one.route_config.name, one.last_updated, ())
            for one in decoded(status, body, Dump[_RouteConfigHead]).configs
        )
    found = decoded(status, body, Dump[_DynamicRouteConfig]).configs
    return tuple(
        RouteConfig(
            one.route_config.name,
            one.last_updated,
            tuple(_hosts(one.route_config, interest)),
            frozenset[Origin]().union(*map(interest.origins_in, one.route_config.virtual_hosts)),
        )
        for one in found
    )


def marks(status: int, body: bytes, interest: Interest) -> frozenset[Origin]:
    """Return the objects of interest that something in an answer comes from.

    Raises:
        UnreadableError: the answer proves nothing.
    """
    decoded(status, body, Dump[msgspec.Raw])
    return interest.origins_in(body)


def _hosts(
    config: _RouteConfiguration, interest: Interest
) -> Iterator[tuple[frozenset[str], frozenset[ClusterName]]]:
    for raw in config.virtual_hosts:
        if interest.may_be_in(raw):
            host = part(raw, _VirtualHost)
            yield frozenset(host.domains), interest.among(named([host.routes, host.request_mirror_policies]))
    everywhere = interest.among(named(config.request_mirror_policies))
    if everywhere:
        yield frozenset(), everywhere


def part(raw: msgspec.Raw | bytes, form: type[T]) -> T:
    """Return a part of an answer that was skipped unread before: only now it shows whether it is JSON at all."""
    try:
        return msgspec.json.decode(raw, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"a part of the config dump has a form that is not known: {error}") from error


def named(node: Any) -> Iterator[ClusterName]:  # noqa: ANN401  any JSON
    """Yield every cluster that some JSON names: in routes, weights, mirrors, TCP proxies and filters."""
    if isinstance(node, list):
        for item in node:
            yield from named(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in {"cluster", "cluster_name"} and isinstance(value, str):
                yield ClusterName(value)
            elif key == "weighted_clusters":
                yield from (ClusterName(one["name"]) for one in value.get("clusters") or () if "name" in one)
            yield from named(value)
