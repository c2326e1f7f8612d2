"""What is done with a request that a route lets in: Envoy's actions for one HTTP route of a VirtualService. Pure.

Left out are CORS, hash policies and everything that needs TLS: none of it changes which cluster is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from safeapply.sandbox.controlplane.translation.metadata import Json

__all__ = ["ClusterOf", "default_route", "duration", "envoy_route", "live_destinations"]

ClusterOf: TypeAlias = Callable[[Json], str]
"""Destination -> the name of its cluster."""

FAULT = "envoy.filters.http.fault"
FAULT_TYPE = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
MILLION = 10_000
"""Parts of a million in one per cent."""

RETRY_POLICY: Json = {
    # Istio's default; 503 is not in it since 1.24 (ISTIO.md 1.3).
    "retry_on": "connect-failure,refused-stream,unavailable,cancelled",
    "num_retries": 2,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": 5,
}

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 0.000001, "ns": 0.000000001}
DURATION_PART = re.compile(r"([\d.]+)(h|ms|us|ns|m|s)")


def default_route(cluster: str) -> Json:
    """Return the route of a host that no VirtualService speaks for."""
    action = {"cluster": cluster, "timeout": "0s", "retry_policy": RETRY_POLICY}
    return {"name": "default", "match": {"prefix": "/"}, "route": action}


def envoy_route(http: Json, match: Json, metadata: Json, cluster_of: ClusterOf) -> Json:
    """Return Envoy's route for one match of an HTTP route."""
    route: Json = {"name": http.get("name") or "", "match": match, "metadata": metadata}
    if http.get("redirect"):
        route["redirect"] = _redirect(http["redirect"])
    elif http.get("directResponse"):
        route["direct_response"] = _direct_response(http["directResponse"])
    else:
        route["route"] = _action(http, cluster_of)
    route |= _headers(http.get("headers") or {}, *_own_headers(http))
    if http.get("fault"):
        route["typed_per_filter_config"] = {FAULT: _fault(http["fault"])}
    return route


def live_destinations(weighted: list[Json]) -> list[Json]:
    """Return the destinations that get traffic: a single one in any case, else those above 0 (ISTIO.md 1.3)."""
    return weighted if len(weighted) == 1 else [each for each in weighted if int(each.get("weight") or 0) > 0]


def duration(text: str) -> str:
    """Return Go's ``1h2m3.5s`` as protobuf's ``3723.5s``."""
    seconds = sum(float(figure) * UNITS[unit] for figure, unit in DURATION_PART.findall(str(text)))
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def _action(http: Json, cluster_of: ClusterOf) -> Json:
    action: Json = {"timeout": duration(http.get("timeout") or "0s"), **_rewrite(http)}
    retries = _retries(http.get("retries"))
    if retries:
        action["retry_policy"] = retries
    mirrors = list(_mirrors(http, cluster_of))
    if mirrors:
        action["request_mirror_policies"] = mirrors
    destinations = live_destinations(list(http.get("route") or ()))
    if len(destinations) == 1:
        action["cluster"] = cluster_of(destinations[0]["destination"])
        action |= _authority(destinations[0].get("headers") or {})
    else:
        action["weighted_clusters"] = {"clusters": [_weighted(each, cluster_of) for each in destinations]}
    return action | _authority(http.get("headers") or {})


def _weighted(destination: Json, cluster_of: ClusterOf) -> Json:
    found: Json = {"name": cluster_of(destination["destination"]), "weight": int(destination["weight"])}
    return found | _headers(destination.get("headers") or {}) | _authority(destination.get("headers") or {})


def _rewrite(http: Json) -> Json:
    rewrite, found = http.get("rewrite") or {}, {}
    if rewrite.get("uriRegexRewrite"):
        regex = rewrite["uriRegexRewrite"]
        found["regex_rewrite"] = {"pattern": {"regex": regex["match"]}, "substitution": regex.get("rewrite", "")}
    elif rewrite.get("uri"):
        found["prefix_rewrite"] = rewrite["uri"]
    if rewrite.get("authority"):
        found["host_rewrite_literal"] = rewrite["authority"]
    return found


def _retries(retries: Json | None) -> Json | None:
    if retries is None:
        return RETRY_POLICY
    attempts = int(retries.get("attempts") or 0)
    if attempts == 0:
        return None
    found = {**RETRY_POLICY, "num_retries": attempts}
    if retries.get("retryOn"):
        found["retry_on"] = retries["retryOn"]
    if retries.get("perTryTimeout"):
        found["per_try_timeout"] = duration(retries["perTryTimeout"])
    return found


def _mirrors(http: Json, cluster_of: ClusterOf) -> Iterator[Json]:
    if http.get("mirror"):
        percent = http.get("mirrorPercentage", http.get("mirrorPercent", http.get("mirror_percent")))
        yield from _mirror(http["mirror"], percent, cluster_of)
    for mirror in http.get("mirrors") or ():
        yield from _mirror(mirror["destination"], mirror.get("percentage"), cluster_of)


def _mirror(destination: Json, percent: Json | float | None, cluster_of: ClusterOf) -> Iterator[Json]:
    """Yield one policy; unset is all of it, 0 is none (ISTIO.md 1.3)."""
    value = 100.0 if percent is None else _percent(percent)
    if value > 0:
        yield {"cluster": cluster_of(destination), "runtime_fraction": {"default_value": _fraction(value)}}


def _redirect(redirect: Json) -> Json:
    found: Json = {}
    if redirect.get("uri"):
        found["path_redirect"] = redirect["uri"]
    if redirect.get("authority"):
        found["host_redirect"] = redirect["authority"]
    if redirect.get("scheme"):
        found["scheme_redirect"] = redirect["scheme"]
    if redirect.get("port"):
        found["port_redirect"] = int(redirect["port"])
    codes = {301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT"}
    codes[308] = "PERMANENT_REDIRECT"
    return {**found, "response_code": codes[int(redirect.get("redirectCode") or 301)]}


def _direct_response(response: Json) -> Json:
    body = response.get("body") or {}
    found: Json = {"status": int(response["status"])}
    if body.get("string"):
        found["body"] = {"inline_string": body["string"]}
    elif body.get("bytes"):
        found["body"] = {"inline_bytes": body["bytes"]}
    return found


def _fault(fault: Json) -> Json:
    found: Json = {"@type": FAULT_TYPE}
    delay, abort = fault.get("delay"), fault.get("abort")
    if delay:
        found["delay"] = {"fixed_delay": duration(delay["fixedDelay"]), "percentage": _share(delay)}
    if abort:
        found["abort"] = {"http_status": int(abort.get("httpStatus") or 503), "percentage": _share(abort)}
    return found


def _share(fault: Json) -> Json:
    if fault.get("percentage") is not None:
        return _fraction(_percent(fault["percentage"]))
    return _fraction(float(fault["percent"]) if "percent" in fault else 100.0)


def _percent(said: Json | float) -> float:
    return float(said.get("value") or 0) if isinstance(said, Mapping) else float(said)


def _fraction(percent: float) -> Json:
    return {"numerator": int(percent * MILLION), "denominator": "MILLION"}


def _own_headers(http: Json) -> Iterator[Json]:
    """Yield the headers of a lone destination; with no weighted cluster to stand on, they stand on the route."""
    destinations = list(http.get("route") or ())
    if len(destinations) == 1:
        yield destinations[0].get("headers") or {}


def _headers(*layers: Json) -> Json:
    """Return Envoy's four lists for ``request`` and ``response`` headers to set, add and remove."""
    found: Json = {}
    for direction in ("request", "response"):
        said = [layer.get(direction) or {} for layer in layers]
        changes = [
            _header(*pair, "OVERWRITE_IF_EXISTS_OR_ADD") for each in said for pair in _settable(each.get("set"))
        ]
        changes += [
            _header(*pair, "APPEND_IF_EXISTS_OR_ADD") for each in said for pair in _settable(each.get("add"))
        ]
        if changes:
            found[f"{direction}_headers_to_add"] = changes
        removals = [name for each in said for name in each.get("remove") or ()]
        if removals:
            found[f"{direction}_headers_to_remove"] = removals
    return found


def _settable(headers: Mapping[str, str] | None) -> Iterator[tuple[str, str]]:
    for name, value in sorted((headers or {}).items()):
        if not _is_authority(name):
            yield name, str(value)


def _header(name: str, value: str, action: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": action}


def _authority(headers: Json) -> Json:
    """Return the rewrite that a set ``host`` header stands for; Envoy refuses it among the headers."""
    for name, value in ((headers.get("request") or {}).get("set") or {}).items():
        if _is_authority(name):
            return {"host_rewrite_literal": str(value)}
    return {}


def _is_authority(name: str) -> bool:
    return name.lower() in {"host", ":authority", "authority"}
