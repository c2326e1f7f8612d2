"""What the API server itself writes into objects. Pure.

Two kinds of things, as in the real server: *defaults*, which the writer of the object then owns, and what is
*allotted* afterwards and is nobody's: addresses, first states.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final, TypeAlias

from safeapply.resources.objects import Document, GroupKind
from safeapply.sandbox.apiserver.kinds import CRD, NAMESPACE, POD, SERVICE

__all__ = ["allotted", "with_defaults"]

_Filler: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]

_POD_SPEC: Final[Mapping[str, Any]] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_CONTAINER: Final[Mapping[str, Any]] = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_ROLLING: Final[Mapping[str, Any]] = {"maxUnavailable": "25%", "maxSurge": "25%"}
_TOLERATED: Final = tuple(
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
)
_RBAC: Final = "rbac.authorization.k8s.io"


def with_defaults(kind: GroupKind, document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with the values that stand for what it does not say."""
    filler = _DEFAULTS.get(kind)
    return filler(document) if filler is not None else document


def allotted(
    kind: GroupKind, live: Document | None, document: dict[str, Any], *, is_free: Callable[[str], bool]
) -> dict[str, Any]:
    """Return a document with what the server gives it, or has given it before.

    Args:
        kind: what the document is.
        live: the object as it is stored; None where there is none yet.
        document: an object with its defaults.
        is_free: tells whether no other Service has an address.
    """
    if kind == SERVICE:
        return _addressed(live, document, is_free)
    filler = _FIRST_STATES.get(kind)
    return filler(document) if filler is not None else document


def _secret(document: dict[str, Any]) -> dict[str, Any]:
    written = {
        key: base64.b64encode(text.encode()).decode() for key, text in document.get("stringData", {}).items()
    }
    rest = {key: value for key, value in document.items() if key != "stringData"}
    data = {"data": {**document.get("data", {}), **written}} if written or "data" in document else {}
    return {"type": "Opaque", **rest, **data}


_INSIDE: Final = frozenset({"clusterIP", "clusterIPs", "internalTrafficPolicy", "ipFamilies", "ipFamilyPolicy"})
"""What a Service has that leads to Pods, and not to a name."""


def _service(document: dict[str, Any]) -> dict[str, Any]:
    spec = document.get("spec") or {}
    inside = {} if spec.get("type") == "ExternalName" else {"internalTrafficPolicy": "Cluster"}
    outside = {"externalTrafficPolicy": "Cluster"} if spec.get("type") in {"NodePort", "LoadBalancer"} else {}
    filled = {"type": "ClusterIP", "sessionAffinity": "None", **inside, **outside, **spec}
    if isinstance(filled.get("ports"), list):
        filled["ports"] = [_port(port) for port in filled["ports"]]
    return {**document, "spec": filled}


def _port(port: dict[str, Any]) -> dict[str, Any]:
    filled = {"protocol": "TCP", **port}
    if filled.get("targetPort") in {None, 0, ""}:
        filled["targetPort"] = filled.get("port", 0)
    return filled


def _pod_spec(spec: dict[str, Any]) -> dict[str, Any]:
    filled = {**_POD_SPEC, **spec}
    for listed in ("initContainers", "containers"):
        if listed in spec:
            filled[listed] = [_container(one) for one in spec[listed]]
    return filled


def _container(container: dict[str, Any]) -> dict[str, Any]:
    tag = container.get("image", "").rpartition("/")[2].partition(":")[2] or "latest"
    pulled = "Always" if tag == "latest" and "@" not in container.get("image", "") else "IfNotPresent"
    filled = {**_CONTAINER, "imagePullPolicy": pulled, **container}
    if "ports" in filled:
        filled["ports"] = [{"protocol": "TCP", **port} for port in filled["ports"]]
    return filled


def _pod(document: dict[str, Any]) -> dict[str, Any]:
    spec = _pod_spec({"enableServiceLinks": True, **(document.get("spec") or {})})
    return {**document, "spec": spec}


def _templated(**defaults: object) -> _Filler:
    """Return what fills in the spec of a kind that makes Pods."""

    def filler(document: dict[str, Any]) -> dict[str, Any]:
        spec = {**defaults, **(document.get("spec") or {})}
        template = spec.get("template") or {}
        spec["template"] = {"metadata": {}, **template, "spec": _pod_spec(template.get("spec") or {})}
        if (strategy := spec.get("strategy")) is not None and strategy.get(
            "type", "RollingUpdate"
        ) == "RollingUpdate":
            rolling = {**_ROLLING, **(strategy.get("rollingUpdate") or {})}
            spec["strategy"] = {"type": "RollingUpdate", **strategy, "rollingUpdate": rolling}
        return {**document, "spec": spec}

    return filler


def _namespace(document: dict[str, Any]) -> dict[str, Any]:
    metadata = document["metadata"]
    labels = {**metadata.get("labels", {}), "kubernetes.io/metadata.name": metadata["name"]}
    return {**document, "metadata": {**metadata, "labels": labels}}


def _binding(document: dict[str, Any]) -> dict[str, Any]:
    filled = dict(document)
    if isinstance(role := document.get("roleRef"), dict):
        filled["roleRef"] = {**role, "apiGroup": role.get("apiGroup") or _RBAC}
    filled["subjects"] = [
        {"apiGroup": _RBAC, **one} if one.get("kind") in {"User", "Group"} else one
        for one in document.get("subjects") or []
    ]
    return filled if filled["subjects"] else {key: value for key, value in filled.items() if key != "subjects"}


def _network_policy(document: dict[str, Any]) -> dict[str, Any]:
    spec = document.get("spec") or {}
    kinds = ["Ingress", "Egress"] if "egress" in spec else ["Ingress"]
    return {**document, "spec": {"policyTypes": kinds, **spec}}


def _endpoint_slice(document: dict[str, Any]) -> dict[str, Any]:
    ports = [{"name": "", "protocol": "TCP", **port} for port in document.get("ports") or []]
    return {**document, "ports": ports} if ports else document


def _cluster_ip(metadata: Mapping[str, Any], is_free: Callable[[str], bool]) -> str:
    """Return a free address, drawn from the name, so that a mesh with the same objects is the same mesh."""
    name = f"{metadata['namespace']}/{metadata['name']}"
    digests = (hashlib.blake2b(f"{name}{'~' * turn}".encode(), digest_size=2).digest() for turn in count())
    addresses = (f"10.96.{digest[0]}.{digest[1]}" for digest in digests)
    return next(address for address in addresses if is_free(address))


def _addressed(live: Document | None, document: dict[str, Any], is_free: Callable[[str], bool]) -> dict[str, Any]:
    spec, status = dict(document["spec"]), document.get("status") or {"loadBalancer": {}}
    if spec["type"] == "ExternalName":
        outside = {key: value for key, value in spec.items() if key not in _INSIDE}
        return {**document, "spec": outside, "status": status}
    before = (live or {}).get("spec") or {}
    given = spec.get("clusterIP") or before.get("clusterIP") or ""
    address = given or next(iter(spec.get("clusterIPs") or ()), "") or _cluster_ip(document["metadata"], is_free)
    addresses = spec.get("clusterIPs") or []
    spec["clusterIP"] = address
    spec["clusterIPs"] = addresses if addresses[:1] == [address] else [address]
    families = {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
    return {**document, "spec": {**families, **spec}, "status": status}


def _first_namespace(document: dict[str, Any]) -> dict[str, Any]:
    return {
        **document,
        "spec": {**(document.get("spec") or {}), "finalizers": ["kubernetes"]},
        "status": {"phase": "Active", **(document.get("status") or {})},
    }


def _first_pod(document: dict[str, Any]) -> dict[str, Any]:
    spec = {"tolerations": list(_TOLERATED), "priority": 0, "preemptionPolicy": "PreemptLowerPriority"}
    status = {"phase": "Pending", "qosClass": "BestEffort", **(document.get("status") or {})}
    return {**document, "spec": {**spec, **document["spec"]}, "status": status}


def _definition(document: dict[str, Any]) -> dict[str, Any]:
    conditions = [
        {"type": condition, "status": "True", "reason": reason, "message": ""}
        for condition, reason in (("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted"))
    ]
    spec = document.get("spec") or {}
    names, versions = spec.get("names") or {}, spec.get("versions") or ()
    kind = names.get("kind", "")
    accepted = {"listKind": f"{kind}List", "singular": kind.lower(), **names}
    stored = [one["name"] for one in versions if one.get("storage")]
    status = {"conditions": conditions, "acceptedNames": accepted, "storedVersions": stored}
    return {**document, "status": {**status, **(document.get("status") or {})}}


def _counted(**zeros: int) -> _Filler:
    """Return what makes the first status of a kind that counts Pods."""
    return lambda document: {**document, "status": {**zeros, **(document.get("status") or {})}}


def _lease(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "spec": document.get("spec") or {}}


def _controller_revision(document: dict[str, Any]) -> dict[str, Any]:
    return {"revision": 0, **document}


_STATEFUL: Final[Mapping[str, Any]] = {
    "podManagementPolicy": "OrderedReady",
    "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
    "revisionHistoryLimit": 10,
    "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
}
_DEFAULTS: Final[Mapping[GroupKind, _Filler]] = {
    NAMESPACE: _namespace,
    POD: _pod,
    SERVICE: _service,
    GroupKind("", "Secret"): _secret,
    GroupKind("apps", "DaemonSet"): _templated(
        updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        revisionHistoryLimit=10,
    ),
    GroupKind("apps", "Deployment"): _templated(
        replicas=1, strategy={}, revisionHistoryLimit=10, progressDeadlineSeconds=600
    ),
    GroupKind("apps", "ReplicaSet"): _templated(replicas=1),
    GroupKind("apps", "StatefulSet"): _templated(replicas=1, **_STATEFUL),
    GroupKind("coordination.k8s.io", "Lease"): _lease,
    GroupKind("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    GroupKind("networking.k8s.io", "NetworkPolicy"): _network_policy,
    GroupKind(_RBAC, "ClusterRoleBinding"): _binding,
    GroupKind(_RBAC, "RoleBinding"): _binding,
}
_FIRST_STATES: Final[Mapping[GroupKind, _Filler]] = {
    NAMESPACE: _first_namespace,
    POD: _first_pod,
    CRD: _definition,
    GroupKind("apps", "ControllerRevision"): _controller_revision,
    GroupKind("apps", "DaemonSet"): _counted(
        currentNumberScheduled=0, numberMisscheduled=0, desiredNumberScheduled=0, numberReady=0
    ),
    GroupKind("apps", "Deployment"): _counted(),
    GroupKind("apps", "ReplicaSet"): _counted(replicas=0),
    GroupKind("apps", "StatefulSet"): _counted(replicas=0, availableReplicas=0),
}
