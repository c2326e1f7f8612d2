"""One object that is both live and desired: what is desired, and what is live beside it (DESIGN 4.2).

Every function takes the live and the desired spec and returns the joined one, or None where no object can be
both: two things of one name, or a field that has only one value.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from safeapply.resources.objects import Document

__all__ = [
    "join_authentication",
    "join_entry",
    "join_gateway",
    "join_rule",
    "join_service",
    "join_sidecar",
    "joined_scope",
    "united_subsets",
]

Item = Mapping[str, Any]
Key = Callable[[Item], Hashable]


def join_rule(live: Document, desired: Document) -> Document | None:
    """Join DestinationRules of one host: all subsets, those that both have as desired."""
    if live.get("host") != desired.get("host"):
        return None
    return {**desired, **joined_scope(live, desired), "subsets": united_subsets(live, desired)}


def join_gateway(live: Document, desired: Document) -> Document | None:
    """Join Gateways of one selector: servers of both, and both their hosts on a server that both have."""
    if live.get("selector") != desired.get("selector"):
        return None
    servers: dict[Hashable, Document] = {_server(one): one for one in live.get("servers") or ()}
    for one in desired.get("servers") or ():
        known = servers.get(_server(one))
        servers[_server(one)] = {**one, "hosts": _all_of((known or {}).get("hosts"), one.get("hosts"))}
    joined = list(servers.values())
    return {**desired, "servers": joined} if _unlike(one.get("port", {}).get("name") for one in joined) else None


def join_entry(live: Document, desired: Document) -> Document | None:
    """Join ServiceEntries that are resolved in one way: all hosts, addresses, ports and endpoints."""
    if any(live.get(field) != desired.get(field) for field in ("resolution", "location", "workloadSelector")):
        return None
    ports = _united(live, desired, "ports", key=lambda port: port["number"])
    lists = {
        field: _all_of(live.get(field), desired.get(field))
        for field in ("hosts", "addresses", "endpoints")
        if live.get(field) or desired.get(field)
    }
    return {**desired, **lists, **joined_scope(live, desired), "ports": ports} if _named_apart(ports) else None


def join_service(live: Document, desired: Document) -> Document | None:
    """Join Services of one type: the ports of both, where no two go by one name."""
    if live.get("type", "ClusterIP") != desired.get("type", "ClusterIP"):
        return None
    ports = _united(live, desired, "ports", key=lambda port: (port["port"], port.get("protocol", "TCP")))
    return {**desired, "ports": ports} if _named_apart(ports) else None


def join_sidecar(live: Document, desired: Document) -> Document | None:
    """Join Sidecars of one selector that have one egress listener, for all ports: the hosts of both."""
    if live.get("workloadSelector") != desired.get("workloadSelector"):
        return None
    listeners = [list(spec.get("egress") or [{}, {}]) for spec in (live, desired)]
    if any(len(several) != 1 or "port" in several[0] for several in listeners):
        return None
    old, new = (several[0] for several in listeners)
    # What one of them leaves out (``~namespace/host``), the other may let in.
    both = [set(map(str, one.get("hosts") or ())) for one in (old, new)]
    hosts = _all_of(old.get("hosts"), new.get("hosts"))
    kept = [host for host in hosts if not str(host).startswith("~") or all(str(host) in one for one in both)]
    return {**desired, "egress": [{**new, "hosts": kept}]}


def join_authentication(live: Document | None, desired: Document | None) -> Document | None:
    """Join PeerAuthentications of one selector: PERMISSIVE where they differ, which lets in the clients of both.

    Every port that either names is in it, for what an apply leaves out may stay. One that is not there (None) is
    as good as one that says nothing.
    """
    both = [spec for spec in (live, desired) if spec is not None]
    if len({repr(spec.get("selector")) for spec in both}) > 1:
        return None
    before, after = (_mtls((spec or {}).get("mtls")) for spec in (live, desired))
    old, new = (
        {str(port): _mtls(mtls) for port, mtls in ((spec or {}).get("portLevelMtls") or {}).items()}
        for spec in (live, desired)
    )
    ports = {
        port: {"mode": _both(_or(old.get(port), before), _or(new.get(port), after))}
        for port in old.keys() | new.keys()
    }
    joined = {**both[-1], "mtls": {"mode": _both(before, after)}}
    return joined | ({"portLevelMtls": dict(sorted(ports.items()))} if ports else {})


UNSET = "UNSET"


def _mtls(mtls: Document | None) -> str:
    return str((mtls or {}).get("mode") or UNSET)


def _or(mode: str | None, wider: str) -> str:
    return wider if mode in {None, UNSET} else str(mode)


def _both(live: str, desired: str) -> str:
    return live if live == desired else "PERMISSIVE"


def united_subsets(*specs: Document) -> list[Item]:
    """Return the subsets of several DestinationRules, the last one of each name."""
    return list({str(subset["name"]): subset for spec in specs for subset in spec.get("subsets") or ()}.values())


def joined_scope(live: Document, desired: Document) -> Document:
    """Return who may see both, as a spec says it; without the field, everybody."""
    both = (live.get("exportTo"), desired.get("exportTo"))
    if not all(both):
        return {"exportTo": None} if any(both) else {}
    joined = _all_of(*both)
    # Istio's webhook takes the star alone.
    return {"exportTo": ["*"] if "*" in joined else joined}


def _united(live: Document, desired: Document, field: str, *, key: Key) -> list[Item]:
    """Return the items of both, the desired one where both have a key."""
    items = [*(live.get(field) or ()), *(desired.get(field) or ())]
    return list({key(item): item for item in items}.values())


def _all_of(live: Sequence[Any] | None, desired: Sequence[Any] | None) -> list[Any]:
    """Return the values of both, each once, those that are live first."""
    joined: list[Any] = list(live or ())
    return joined + [value for value in desired or () if value not in joined]


def _server(server: Item) -> Hashable:
    port = server.get("port") or {}
    return (port.get("number"), port.get("protocol"), port.get("name"), repr(server.get("tls")))


def _named_apart(ports: Iterable[Item]) -> bool:
    return _unlike(port.get("name") for port in ports)


def _unlike(names: Iterable[str | None]) -> bool:
    """Tell whether no two of them are equal; a lone one may be missing."""
    listed = list(names)
    return len(set(listed)) == len(listed)
