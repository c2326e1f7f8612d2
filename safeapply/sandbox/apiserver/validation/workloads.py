"""The rules of Services, Pods, and what makes Pods. Pure.

Each rule takes the live object, None for a creation, and the object that is to be stored, with its defaults filled
in. Where Kubernetes has it: ``pkg/apis/core/validation``, ``pkg/apis/apps/validation``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.apiserver.kinds import POD, SERVICE
from safeapply.sandbox.apiserver.validation.core import Rule
from safeapply.sandbox.apiserver.validation.faults import (
    IMMUTABLE,
    Fault,
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)
from safeapply.sandbox.apiserver.validation.metadata import labels
from safeapply.sandbox.apiserver.validation.names import dns_label, port_name

__all__ = ["SERVICE_NETWORK", "WORKLOAD_RULES"]

SERVICE_NETWORK: Final = ipaddress.IPv4Network("10.96.0.0/16")
"""What ClusterIPs are drawn from."""
_LARGEST_PORT: Final = 65535
_IN_RANGE: Final = f"must be between 1 and {_LARGEST_PORT}, inclusive"
_NOT_NEGATIVE: Final = "must be greater than or equal to 0"
_STATEFUL: Final = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_MAY_CHANGE: Final = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)
_COUNTED: Final = ("updatedReplicas", "readyReplicas", "availableReplicas")
_POD_MAY_CHANGE: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _service(live: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
    spec = new.get("spec") or {}
    kind = spec.get("type", "ClusterIP")
    external, headless = kind == "ExternalName", spec.get("clusterIP") == "None"
    ports = spec.get("ports") or []
    if not ports and not external and not headless:
        yield required("spec.ports")
    if external and not spec.get("externalName"):
        yield required("spec.externalName")
    yield from _ports(ports)
    yield from labels("spec.selector", spec.get("selector") or {})
    if spec.get("sessionAffinity") not in {"ClientIP", "None"}:
        yield not_supported("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    if kind not in (types := ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")):
        yield not_supported("spec.type", kind, types)
    if not external:
        yield from _addresses(live, spec)


def _ports(ports: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    names: set[str] = set()
    for at, port in enumerate(ports):
        field, name = f"spec.ports[{at}]", port.get("name", "")
        if not name and len(ports) > 1:
            yield required(f"{field}.name")
        elif name:
            yield from (invalid_value(f"{field}.name", name, why) for why in dns_label(name))
            if name in names:
                yield duplicate(f"{field}.name", name)
        names.add(name)
        if not 1 <= port.get("port", 0) <= _LARGEST_PORT:
            yield invalid_value(f"{field}.port", port.get("port", 0), _IN_RANGE)
        if port.get("protocol") not in (protocols := ("SCTP", "TCP", "UDP")):
            yield not_supported(f"{field}.protocol", port.get("protocol"), protocols)
        yield from _target(f"{field}.targetPort", port.get("targetPort", 0))
    places = [(port.get("protocol"), port.get("port", 0)) for port in ports]
    for at, place in enumerate(places):
        if place in places[:at]:
            written = {"Name": "", "Protocol": place[0], "AppProtocol": None, "Port": place[1]}
            yield duplicate(f"spec.ports[{at}]", written | {"TargetPort": 0, "NodePort": 0})


def _target(field: str, target: object) -> Iterator[Fault]:
    if isinstance(target, int) and not 1 <= target <= _LARGEST_PORT:
        yield invalid_value(field, target, _IN_RANGE)
    elif isinstance(target, str):
        yield from (invalid_value(field, target, why) for why in port_name(target))


def _addresses(live: Mapping[str, Any] | None, spec: Mapping[str, Any]) -> Iterator[Fault]:
    addresses = spec.get("clusterIPs") or []
    for at, text in enumerate(addresses):
        if text != "None" and not _is_address(text):
            why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            yield invalid_value(f"spec.clusterIPs[{at}]", text, why)
            return
    before = (live or {}).get("spec", {})
    if (
        before.get("clusterIPs")
        and before.get("type") != "ExternalName"
        and addresses[:1] != before["clusterIPs"][:1]
    ):
        yield invalid_value("spec.clusterIPs[0]", addresses, "may not change once set")
        return
    for text in addresses:
        if text != "None" and ipaddress.ip_address(text) not in SERVICE_NETWORK:
            why = f"failed to allocate IP {text}: the provided network does not match the current range"
            yield invalid_value("spec.clusterIPs", addresses, why)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _pod(live: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
    spec = new.get("spec") or {}
    yield from _containers("spec", spec)
    if live is not None and _fixed(live.get("spec") or {}) != _fixed(spec):
        yield forbidden_field("spec", _POD_MAY_CHANGE)


def _fixed(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what of a Pod's spec stays as it was created; binding it to a node is the cluster's own write."""
    kept = {
        key: value for key, value in spec.items() if key not in {"activeDeadlineSeconds", "tolerations", "nodeName"}
    }
    for listed in ("containers", "initContainers"):
        kept[listed] = [
            {key: value for key, value in one.items() if key != "image"} for one in spec.get(listed) or []
        ]
    return kept


def _containers(field: str, spec: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with the containers of a Pod, or of a template of one."""
    listed = spec.get("containers") or []
    if not listed:
        yield required(f"{field}.containers")
    seen: set[str] = set()
    for at, container in enumerate(listed):
        name = container.get("name", "")
        if not name:
            yield required(f"{field}.containers[{at}].name")
        elif name in seen:
            yield duplicate(f"{field}.containers[{at}].name", name)
        else:
            yield from (invalid_value(f"{field}.containers[{at}].name", name, why) for why in dns_label(name))
        if not container.get("image"):
            yield required(f"{field}.containers[{at}].image")
        seen.add(name)


def _template(spec: Mapping[str, Any], what: str) -> Iterator[Fault]:
    """Hold a selector and a template against each other."""
    selector, template = spec.get("selector"), spec.get("template") or {}
    wanted = (selector or {}).get("matchLabels") or {}
    marked = (template.get("metadata") or {}).get("labels")
    if selector is None:
        yield required("spec.selector")
    elif not wanted and not selector.get("matchExpressions"):
        yield invalid_value("spec.selector", selector, f"empty selector is invalid for {what}")
        wanted = None
    if selector is None or (wanted is not None and any((marked or {}).get(key) != wanted[key] for key in wanted)):
        why = "`selector` does not match template `labels`"
        yield invalid_value("spec.template.metadata.labels", marked, why)
    yield from _containers("spec.template.spec", template.get("spec") or {})


def _replicated(what: str) -> Rule:
    def rule(live: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
        spec, status = new.get("spec") or {}, new.get("status") or {}
        if spec.get("replicas", 0) < 0:
            yield invalid_value("spec.replicas", spec["replicas"], _NOT_NEGATIVE)
        yield from _template(spec, what)
        if live is not None and (live.get("spec") or {}).get("selector") != spec.get("selector"):
            yield invalid_value("spec.selector", spec.get("selector"), IMMUTABLE)
        yield from _counts(status)

    return rule


def _counts(status: Mapping[str, Any]) -> Iterator[Fault]:
    total = status.get("replicas", 0)
    if total < 0:
        yield invalid_value("status.replicas", total, _NOT_NEGATIVE)
    for key in _COUNTED:
        if (count := status.get(key, 0)) > total:
            yield invalid_value(f"status.{key}", count, "cannot be greater than status.replicas")


def _stateful(live: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
    spec = new.get("spec") or {}
    yield from _template(spec, "statefulset")
    before = (live or {}).get("spec") or {}
    changed = {key for key in {*before, *spec} if before.get(key) != spec.get(key)}
    if live is not None and changed - _STATEFUL_MAY_CHANGE:
        yield forbidden_field("spec", _STATEFUL)


WORKLOAD_RULES: Final[Mapping[GroupKind, Rule]] = {
    POD: _pod,
    SERVICE: _service,
    GroupKind("apps", "DaemonSet"): _replicated("daemonset"),
    GroupKind("apps", "Deployment"): _replicated("deployment"),
    GroupKind("apps", "ReplicaSet"): _replicated("replicaset"),
    GroupKind("apps", "StatefulSet"): _stateful,
}
