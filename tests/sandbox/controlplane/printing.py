"""A proxy's configuration as text: YAML in, one line for each thing that matters out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from safeapply.sandbox.controlplane.snapshots import Snapshot
from safeapply.sandbox.controlplane.translation.configuration import Configuration, Translation
from tests.sandbox.controlplane.lab import NS, identity, read

ALWAYS = {"BlackHoleCluster", "PassthroughCluster"}


def configured(
    text: str,
    *,
    namespace: str = NS,
    labels: Mapping[str, str] | None = None,
    role: str = "sidecar",
    ports: Mapping[str, int] | None = None,
) -> Configuration:
    """Return a proxy's configuration in the mesh that the YAML describes; objects get younger down the text.

    With ports of its pod, even none, it is a mesh with mutual TLS.
    """
    documents = read(textwrap.dedent(text))
    for number, document in enumerate(documents):
        document["metadata"].setdefault("creationTimestamp", f"2026-01-01T00:00:{number:02}Z")
    snapshot = Snapshot({identity(each): each for each in documents})
    translation = Translation(snapshot, mutual_tls=ports is not None)
    return translation.configuration(role, namespace, labels or {}, ports)


def clusters(found: Configuration) -> list[str]:
    """Return the names of the clusters, short hosts for those of the mesh, with the number of endpoints if EDS."""
    lines = []
    for name, cluster in found.clusters.items():
        if name not in ALWAYS:
            count = ""
            if cluster["type"] == "EDS":
                count = f" {sum(len(each['lb_endpoints']) for each in found.endpoints[name]['endpoints'])}"
            lines.append(_short(name) + count)
    return sorted(lines)


def endpoints(found: Configuration, name: str) -> list[str]:
    """Return the sockets of a cluster's endpoints."""
    localities = found.endpoints[name]["endpoints"]
    return [
        each["endpoint"]["address"]["pipe"]["path"] for locality in localities for each in locality["lb_endpoints"]
    ]


def routes(found: Configuration, name: str = "9080") -> list[str]:
    """Return each route as ``virtual host: match -> clusters``, without the catch-all of sidecars."""
    return [
        f"{_short(host['name'])}: {_match(each['match'])} -> {_action(each)}"
        for host in found.routes[name]["virtual_hosts"]
        if host["name"] != "allow_any"
        for each in host["routes"] or [{"match": {"prefix": "nothing"}}]
    ]


def listeners(found: Configuration) -> list[str]:
    """Return each filter chain as ``listener [server names]: where it leads``."""
    return [
        f"{name}{_names(chain)}: {_filter(chain['filters'][0]['typed_config'])}"
        for name, listener in sorted(found.listeners.items())
        for chain in listener["filter_chains"]
    ]


def _short(name: str) -> str:
    return name.replace(".svc.cluster.local", "").removeprefix("outbound|")


def _match(match: Mapping[str, Any]) -> str:
    return " ".join(_parts(match))


def _parts(match: Mapping[str, Any]) -> Iterator[str]:
    if "prefix" in match:
        yield f"{match['prefix']}*"
    elif "path" in match:
        yield match["path"]
    else:
        yield f"~{match['safe_regex']['regex']}"
    for header in match.get("headers", ()):
        negation = "not " if header.get("invert_match") else ""
        yield f"{negation}{header['name']}{_text(header)}"
    for query in match.get("query_parameters", ()):
        yield f"?{query['name']}{_text(query)}"


def _text(matcher: Mapping[str, Any]) -> str:
    match matcher.get("string_match"):
        case {"exact": value}:
            return f"={value}"
        case {"prefix": value}:
            return f"={value}*"
        case {"safe_regex": {"regex": value}}:
            return f"~{value}"
        case _:
            return ""


def _action(route: Mapping[str, Any]) -> str:
    if "redirect" in route:
        return "redirect"
    if "direct_response" in route:
        return str(route["direct_response"]["status"])
    action = route.get("route", {})
    mirrors = "".join(f" (mirror {_short(each['cluster'])})" for each in action.get("request_mirror_policies", ()))
    return _destination(action) + mirrors


def _destination(action: Mapping[str, Any]) -> str:
    weighted = action.get("weighted_clusters", {}).get("clusters", ())
    parts = [f"{each['weight']} {_short(each['name'])}" for each in weighted]
    return " + ".join(parts) or _short(action.get("cluster", "nothing"))


def _names(chain: Mapping[str, Any]) -> str:
    names = chain.get("filter_chain_match", {}).get("server_names", ())
    return f" [{', '.join(names)}]" if names else ""


def _filter(typed: Mapping[str, Any]) -> str:
    return f"RDS {typed['rds']['route_config_name']}" if "rds" in typed else _destination(typed)
