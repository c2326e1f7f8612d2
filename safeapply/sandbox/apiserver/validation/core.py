"""The rules of the core kinds, of Leases, of revisions, of roles and of what hangs on them. Pure.

Each rule takes the live object, None for a creation, and the object that is to be stored, with its defaults filled
in. Where Kubernetes has it: ``pkg/apis/*/validation``.
"""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.apiserver.validation.faults import (
    IMMUTABLE,
    Fault,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
    too_long,
)
from safeapply.sandbox.apiserver.validation.names import config_key, qualified_name

__all__ = ["CORE_RULES", "Rule"]

Rule: TypeAlias = Callable[[Mapping[str, Any] | None, Mapping[str, Any]], Iterator[Fault]]

_ONCE: Final = "field is immutable when `immutable` is set"
_NOT_NEGATIVE: Final = "must be greater than or equal to 0"
_LARGEST_SECRET: Final = 1024 * 1024
_TLS: Final = ("tls.crt", "tls.key")
_PULL: Final = "kubernetes.io/dockerconfigjson"
_PULL_KEY: Final = ".dockerconfigjson"
_FAMILIES: Final[Mapping[str, type[ipaddress.IPv4Address | ipaddress.IPv6Address]]] = {
    "IPv4": ipaddress.IPv4Address,
    "IPv6": ipaddress.IPv6Address,
}


def _config_map(live: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
    if live is not None:
        yield from _immutable(live, new, ("data", "binaryData"))
    data, binary = new.get("data") or {}, new.get("binaryData") or {}
    for key in sorted(data):
        yield from (invalid_value(f"data[{key}]", key, why) for why in config_key(key))
        if key in binary:
            yield invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData")
    for key in sorted(binary):
        yield from (invalid_value(f"binaryData[{key}]", key, why) for why in config_key(key))
    if sum(map(_size, (*data.values(), *binary.values()))) > _LARGEST_SECRET:
        yield too_long("", _LARGEST_SECRET)


def _secret(live: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
    if live is not None:
        if live.get("type") != new.get("type"):
            yield invalid_value("type", new.get("type"), IMMUTABLE)
        yield from _immutable(live, new, ("data",))
    data = new.get("data") or {}
    for key in sorted(data):
        yield from (invalid_value(f"data[{key}]", key, why) for why in config_key(key))
    if sum(map(_size, data.values())) > _LARGEST_SECRET:
        yield too_long("data", _LARGEST_SECRET)
    if new.get("type") == _PULL and (pull := data.get(_PULL_KEY)) is not None and not _is_json(pull):
        yield invalid_value(f"data[{_PULL_KEY}]", "<secret contents redacted>", "invalid character")
    if new.get("type") == "kubernetes.io/tls":
        yield from (required(f"data[{key}]") for key in _TLS if key not in data)


def _immutable(live: Mapping[str, Any], new: Mapping[str, Any], fields: tuple[str, ...]) -> Iterator[Fault]:
    if not live.get("immutable"):
        return
    if not new.get("immutable"):
        yield forbidden_field("immutable", _ONCE)
    for field in fields:
        if (live.get(field) or {}) != (new.get(field) or {}):
            yield forbidden_field(field, _ONCE)


def _controller_revision(live: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
    if new.get("revision", 0) < 0:
        yield invalid_value("revision", new["revision"], _NOT_NEGATIVE)
    if live is not None:
        if live.get("data") != new.get("data"):
            yield invalid_value("data", new.get("data"), IMMUTABLE)
    elif new.get("data") is None:
        yield required("data", "data is mandatory")


def _lease(_: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
    spec = new.get("spec") or {}
    if spec.get("leaseDurationSeconds", 1) <= 0:
        yield invalid_value("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0")
    if spec.get("leaseTransitions", 0) < 0:
        yield invalid_value("spec.leaseTransitions", spec["leaseTransitions"], _NOT_NEGATIVE)


def _event(_: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
    """Hold an Event of the core group against its namespace; that is all that is asked of one."""
    namespace = (new.get("involvedObject") or {}).get("namespace", "")
    if namespace != new["metadata"].get("namespace") and not (
        not namespace and new["metadata"].get("namespace") == "default"
    ):
        yield invalid_value("involvedObject.namespace", namespace, "does not match event.namespace")


def _new_event(live: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
    """Hold an Event of ``events.k8s.io`` against that group's rules (``ValidateEventCreate``)."""
    if live is not None:
        return
    if not new.get("eventTime"):
        yield required("eventTime")
    if new.get("type") not in {"Normal", "Warning"}:
        yield invalid_value("type", "", f"has invalid value: {new.get('type', '')}")
    if not new.get("eventTime"):
        return
    if not new.get("reportingController"):
        yield required("reportingController")
    else:
        controller = new["reportingController"]
        yield from (invalid_value("reportingController", controller, why) for why in qualified_name(controller))
    yield from (required(key) for key in ("reportingInstance", "action", "reason") if not new.get(key))


def _endpoint_slice(live: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
    kind = new.get("addressType", "")
    if not kind:
        yield required("addressType")
    elif kind not in {*_FAMILIES, "FQDN"}:
        yield not_supported("addressType", kind, ("FQDN", "IPv4", "IPv6"))
    elif live is not None and live.get("addressType") != kind:
        yield invalid_value("addressType", kind, IMMUTABLE)
        return
    for at, endpoint in enumerate(new.get("endpoints") or []):
        for place, address in enumerate(endpoint.get("addresses") or []):
            if kind in _FAMILIES:
                yield from _address(f"endpoints[{at}].addresses[{place}]", address, kind)


def _address(field: str, text: str, kind: str) -> Iterator[Fault]:
    try:
        address = _FAMILIES[kind](text)
    except ValueError:
        yield invalid_value(field, text, f"must be an {kind} address")
        return
    if address.is_loopback:
        yield invalid_value(field, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")


def _role(_: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
    for at, rule in enumerate(new.get("rules") or []):
        field = f"rules[{at}]"
        if not rule.get("verbs"):
            yield required(f"{field}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            continue
        if not rule.get("apiGroups"):
            yield required(f"{field}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(f"{field}.resources", "resource rules must supply at least one resource")


def _binding(live: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
    role = new.get("roleRef") or {}
    if role.get("kind") not in {"Role", "ClusterRole"}:
        yield not_supported("roleRef.kind", role.get("kind", ""), ("ClusterRole", "Role"))
    if not role.get("name"):
        yield required("roleRef.name")
    if live is not None and live.get("roleRef") != role:
        written = {
            key: role.get(name, "") for key, name in (("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name"))
        }
        yield invalid_value("roleRef", written, "cannot change roleRef")


def _is_json(encoded: str) -> bool:
    try:
        return isinstance(json.loads(base64.b64decode(encoded)), dict)
    except ValueError:
        return False


def _size(text: str) -> int:
    return len(text.encode())


CORE_RULES: Final[Mapping[GroupKind, Rule]] = {
    GroupKind("", "ConfigMap"): _config_map,
    GroupKind("", "Event"): _event,
    GroupKind("", "Secret"): _secret,
    GroupKind("apps", "ControllerRevision"): _controller_revision,
    GroupKind("coordination.k8s.io", "Lease"): _lease,
    GroupKind("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    GroupKind("events.k8s.io", "Event"): _new_event,
    GroupKind("rbac.authorization.k8s.io", "ClusterRole"): _role,
    GroupKind("rbac.authorization.k8s.io", "ClusterRoleBinding"): _binding,
    GroupKind("rbac.authorization.k8s.io", "Role"): _role,
    GroupKind("rbac.authorization.k8s.io", "RoleBinding"): _binding,
}
