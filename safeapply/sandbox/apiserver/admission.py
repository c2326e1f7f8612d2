"""What is not let in: what the API server itself refuses, and what Istio's webhook does. Pure.

A small part of both, as rules in tables: the faults that people meet when they edit routes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.apiserver.kinds import CRD, SERVICE, Kind
from safeapply.sandbox.apiserver.registry import defined_kind
from safeapply.sandbox.apiserver.statuses import bad_request, denied, invalid

__all__ = ["check_object", "check_shape"]

_Rule: TypeAlias = Callable[[Mapping[str, Any]], Iterator[str]]

WEBHOOK: Final = "validation.istio.io"
LONGEST_NAME: Final = 253
SUBDOMAIN: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_NAME: Final = re.compile(SUBDOMAIN)
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_FREE_NAMES: Final = frozenset({"rbac.authorization.k8s.io"})
"""Groups whose names are path segments only: ``system:node``."""


def check_shape(document: Mapping[str, Any]) -> None:
    """Refuse a document whose metadata or spec are not of the form that every object has.

    Raises:
        StatusError: 400.
    """
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        raise bad_request("the object has no metadata")
    texts = ("name", "namespace", "generateName", "uid", "resourceVersion")
    wrong = [key for key in texts if not isinstance(metadata.get(key, ""), str)]
    wrong += [key for key in ("labels", "annotations") if not _is_texts(metadata.get(key, {}))]
    wrong += [key for key in ("finalizers", "ownerReferences") if not isinstance(metadata.get(key, []), list)]
    if wrong:
        raise bad_request(
            f"{document.get('kind')} in version {document.get('apiVersion')!r} cannot be handled: "
            f"metadata.{wrong[0]} is not of the right type"
        )
    if not isinstance(document.get("spec", {}), dict) or not isinstance(document.get("status", {}), dict):
        raise bad_request(f"{document.get('kind')} cannot be handled: spec and status have to be objects")


def check_object(kind: Kind, document: Mapping[str, Any]) -> None:
    """Refuse an object that the server or a webhook would refuse.

    Raises:
        StatusError: 422 from the server itself, 400 from the webhook.
    """
    name = document["metadata"]["name"]
    if kind.group not in _FREE_NAMES and (len(name) > LONGEST_NAME or _NAME.fullmatch(name) is None):
        raise invalid(kind, name, [("metadata.name", _bad_name(name))])
    if faults := list(_faults_of_server(kind, document)):
        raise invalid(kind, name, faults)
    rule = _ISTIO.get(kind.group_kind)
    if rule is not None and (said := list(rule(document.get("spec") or {}))):
        raise denied(kind, name, f"configuration is invalid: {_joined(said)}", webhook=WEBHOOK)


def _faults_of_server(kind: Kind, document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the API server refuses without any webhook."""
    spec = document.get("spec") or {}
    match kind.group_kind:
        case group_kind if group_kind == SERVICE and spec.get("type") != "ExternalName":
            if not spec.get("ports") and spec.get("clusterIP") != "None":
                yield "spec.ports", "Required value"
        case group_kind if group_kind == CRD:
            yield from _definition(document)


def _definition(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        kind = defined_kind(document)
    except (LookupError, TypeError, AttributeError):
        yield "spec", "Invalid value: group, names, scope and versions are required"
        return
    name = document["metadata"]["name"]
    if name != kind.resource:
        yield "metadata.name", f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'


def _destination_rule(spec: Mapping[str, Any]) -> Iterator[str]:
    seen: set[str] = set()
    if not spec.get("host"):
        yield "empty domain name not allowed"
    for subset in _maps(spec.get("subsets")):
        name = str(subset.get("name", ""))
        if name in seen:
            yield f"duplicate subset names: {name}"
        seen.add(name)
        if not name:
            yield "subset name cannot be empty"
        elif _LABEL.fullmatch(name) is None:
            yield f"subset name is invalid: {name}"


def _virtual_service(spec: Mapping[str, Any]) -> Iterator[str]:
    if not any(spec.get(traffic) for traffic in ("http", "tcp", "tls")):
        yield "http, tcp or tls must be provided in virtual service"
    for route in _maps(spec.get("http")):
        if not any(key in route for key in ("route", "redirect", "directResponse", "delegate")):
            yield "HTTP route, redirect or direct_response is required"
        yield from _weights(route)
        yield from _percentages(route)
    for traffic, required in (("tcp", "TCP route is required"), ("tls", "TLS route is required")):
        for route in _maps(spec.get(traffic)):
            if not route.get("route"):
                yield required
            yield from _weights(route)


def _weights(route: Mapping[str, Any]) -> Iterator[str]:
    destinations = _maps(route.get("route"))
    weights = [one.get("weight", 0) for one in destinations]
    numbers = [weight for weight in weights if isinstance(weight, int)]
    yield from (f"weight {weight} < 0" for weight in numbers if weight < 0)
    if any("destination" not in one for one in destinations):
        yield "destination is required"
    if len(weights) > 1 and numbers == weights and sum(numbers) == 0:
        yield "total destination weight = 0"


def _percentages(route: Mapping[str, Any]) -> Iterator[str]:
    fault = route.get("fault")
    for part in fault.values() if isinstance(fault, Mapping) else ():
        share = part.get("percentage") if isinstance(part, Mapping) else None
        value = share.get("value", 0) if isinstance(share, Mapping) else 0
        if isinstance(value, (int, float)) and not 0 <= value <= 100:  # noqa: PLR2004 - per cent
            yield f"percentage {value} is not in range 0..100"


def _gateway(spec: Mapping[str, Any]) -> Iterator[str]:
    if not spec.get("servers"):
        yield "gateway must have at least one server"
    for server in _maps(spec.get("servers")):
        if not server.get("hosts"):
            yield "server config must contain at least one host"


def _service_entry(spec: Mapping[str, Any]) -> Iterator[str]:
    if not spec.get("hosts"):
        yield "service entry must have at least one host"


_ISTIO: Final[Mapping[GroupKind, _Rule]] = {
    GroupKind("networking.istio.io", "DestinationRule"): _destination_rule,
    GroupKind("networking.istio.io", "Gateway"): _gateway,
    GroupKind("networking.istio.io", "ServiceEntry"): _service_entry,
    GroupKind("networking.istio.io", "VirtualService"): _virtual_service,
}
"""What Istio 1.28's webhook says of a spec, by kind."""


def _maps(value: object) -> Sequence[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _joined(said: Sequence[str]) -> str:
    """Put several faults as Go's multierror does."""
    if len(said) == 1:
        return said[0]
    return f"{len(said)} errors occurred:\n" + "".join(f"\t* {one}\n" for one in said) + "\n"


def _bad_name(name: str) -> str:
    return (
        f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric '
        "characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', "
        f"regex used for validation is '{SUBDOMAIN}')"
    )
