"""What is not let in: what the API server itself refuses, and what Istio's webhook does. Pure.

A small part of both, as rules in tables: the faults that people meet when they edit routes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from safeapply.resources.objects import Document, GroupKind
from safeapply.sandbox.apiserver.kinds import CRD, Kind
from safeapply.sandbox.apiserver.registry import defined_kind
from safeapply.sandbox.apiserver.schemas.forms import faults_of_content
from safeapply.sandbox.apiserver.statuses import denied, invalid
from safeapply.sandbox.apiserver.validation import faults_of
from safeapply.sandbox.apiserver.validation.faults import Fault, invalid_value

__all__ = ["check_object"]

_Rule: TypeAlias = Callable[[Mapping[str, Any]], Iterator[str]]

WEBHOOK: Final = "validation.istio.io"
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def check_object(kind: Kind, live: Document | None, document: Mapping[str, Any], *, webhooks: bool = True) -> None:
    """Refuse an object that the server or a webhook would refuse.

    Args:
        kind: what it is.
        live: the object as it is stored; None where there is none yet.
        document: the object that is to be stored.
        webhooks: whether Istio's webhook is there to be asked.

    Raises:
        StatusError: 422 from the server itself, 400 from the webhook.
    """
    name = document["metadata"]["name"]
    version = document["apiVersion"].rpartition("/")[2]
    faults = [*faults_of(kind, live, document), *faults_of_content(kind, version, document)]
    faults += _definition(document) if kind.group_kind == CRD else ()
    if faults:
        raise invalid(_spoken_of(kind), name, faults)
    rule = _ISTIO.get(kind.group_kind)
    if webhooks and rule is not None and (said := list(rule(document.get("spec") or {}))):
        raise denied(kind, name, f"configuration is invalid: {_joined(said)}", webhook=WEBHOOK)


def _spoken_of(kind: Kind) -> Kind:
    """Return the kind that messages name: Events are of the core group, whichever they are written in."""
    return replace(kind, group="") if kind.name == "Event" else kind


def _definition(document: Mapping[str, Any]) -> Iterator[Fault]:
    try:
        kind = defined_kind(document)
    except (LookupError, TypeError, AttributeError):
        yield Fault("spec", "Invalid value: group, names, scope and versions are required")
        return
    name = document["metadata"]["name"]
    if name != kind.resource:
        yield invalid_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


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


def _joined(said: Sequence[str]) -> str:
    """Put several faults as Go's multierror does."""
    if len(said) == 1:
        return said[0]
    return f"{len(said)} errors occurred:\n" + "".join(f"\t* {one}\n" for one in said) + "\n"
