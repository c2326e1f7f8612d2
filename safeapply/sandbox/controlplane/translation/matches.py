"""Matches of HTTP routes: what istiod decides itself, and what it leaves to Envoy. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from safeapply.sandbox.controlplane.translation.metadata import Json, labels_match

__all__ = ["Client", "applies", "envoy_match", "is_catch_all", "l4_applies"]


@dataclass(frozen=True, slots=True)
class Client:
    """What istiod looks at when it decides whether a route is for a proxy."""

    namespace: str
    labels: Mapping[str, str]
    gateways: Collection[str]
    """``mesh`` for sidecars; for gateways, the one that the route is made for."""
    port: int


def applies(match: Json, client: Client) -> bool:
    """Tell whether an HTTP match can be met at this proxy and port (ISTIO.md 4.5)."""
    if match.get("port") and int(match["port"]) != client.port:
        return False
    if match.get("gateways"):
        return not set(match["gateways"]).isdisjoint(client.gateways)
    return _source_matches(match, client)


def l4_applies(match: Json, client: Client) -> bool:
    """Tell the same for a TCP or TLS match, for which gateways and source are looked at together."""
    if match.get("port") and int(match["port"]) != client.port:
        return False
    named = set(match.get("gateways") or client.gateways)
    return not named.isdisjoint(client.gateways) and _source_matches(match, client)


def envoy_match(match: Json) -> Json:
    """Return Envoy's ``RouteMatch`` for one match; an empty one lets everything through."""
    found = _path(match.get("uri") or {})
    headers = [_header(str(name), value or {}) for name, value in (match.get("headers") or {}).items()]
    headers += [_without(str(name), value or {}) for name, value in (match.get("withoutHeaders") or {}).items()]
    headers += list(_pseudo_headers(match))
    if headers:
        found["headers"] = headers
    query = [_query(str(name), value or {}) for name, value in (match.get("queryParams") or {}).items()]
    if query:
        found["query_parameters"] = query
    if match.get("ignoreUriCase"):
        found["case_sensitive"] = False
    return found


def is_catch_all(match: Json) -> bool:
    """Tell whether nothing is left for a route behind this match (istio ``isCatchAllRoute``)."""
    rest = set(match) - {"case_sensitive"}
    return (rest == {"prefix"} and match["prefix"] == "/") or (
        rest == {"safe_regex"} and match["safe_regex"]["regex"] == ".*"
    )


def _source_matches(match: Json, client: Client) -> bool:
    namespace = match.get("sourceNamespace")
    return labels_match(match.get("sourceLabels") or {}, client.labels) and namespace in {
        None,
        "",
        client.namespace,
    }


def _path(uri: Json) -> Json:
    match uri:
        case {"exact": text}:
            return {"path": text}
        case {"prefix": text}:
            return {"prefix": text}
        case {"regex": text}:
            return {"safe_regex": {"regex": text}}
        case _:
            return {"prefix": "/"}


def _pseudo_headers(match: Json) -> Iterator[Json]:
    for field in ("method", "authority", "scheme"):
        if match.get(field):
            yield _header(f":{field}", match[field])


def _header(name: str, text: Json) -> Json:
    pattern = _text(text)
    return {"name": name, "string_match": pattern} if pattern else {"name": name, "present_match": True}


def _without(name: str, text: Json) -> Json:
    return {**_header(name, text), "invert_match": True, "treat_missing_header_as_empty": bool(_text(text))}


def _query(name: str, text: Json) -> Json:
    pattern = _text(text)
    return {"name": name, "string_match": pattern} if pattern else {"name": name, "present_match": True}


def _text(text: Json) -> Json | None:
    """Return Envoy's matcher of a text, or None where any will do."""
    match text:
        case {"exact": str(value)}:
            return {"exact": value}
        case {"prefix": str(value)}:
            return {"prefix": value}
        case {"regex": str(value)} if value != "*":
            return {"safe_regex": {"regex": value}}
        case _:
            return None
