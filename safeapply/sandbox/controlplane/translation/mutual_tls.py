"""The transport sockets of a mesh with mutual TLS: what clients open connections with (ISTIO.md 6.2, 6.3). Pure.

As istiod decides it: a mode in the DestinationRule stands in the cluster; without one each endpoint says by a mark
whether it gets mTLS, and the marks come by EDS. Certificates come by SDS under Istio's names. What is outside the
mesh is left in plaintext, whatever its rule says: the backends that stand for it here speak no TLS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from safeapply.resources.objects import Document
from safeapply.sandbox.controlplane.translation.authentication import Authentication, Mode
from safeapply.sandbox.controlplane.translation.endpoints import Backend
from safeapply.sandbox.controlplane.translation.metadata import Json
from safeapply.sandbox.controlplane.translation.rules import Rule, Subset
from safeapply.sandbox.controlplane.translation.services import Port, Protocol, Service
from safeapply.sandbox.names import CERTIFICATE, ROOT_CERTIFICATE, SDS_CLUSTER, TRUST_DOMAIN

__all__ = ["downstream", "mark", "upstream"]

TLS_SOCKET: Final = "envoy.transport_sockets.tls"
TLS_TYPE: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
PLAIN_SOCKET: Json = {
    "name": "envoy.transport_sockets.raw_buffer",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"},
}
MARK: Json = {"tlsMode": "istio"}
MARKED: Json = {"filter_metadata": {"envoy.transport_socket_match": MARK}}
DISABLE, ISTIO_MUTUAL = "DISABLE", "ISTIO_MUTUAL"
IN_MESH: Final = ("istio-peer-exchange", "istio")
"""The application protocols that only sidecars offer (istio ``ALPNInMeshWithMxc``)."""


def upstream(
    policy: Document, authentication: Authentication, service: Service, port: Port, subset: Subset
) -> Json:
    """Return the part of a cluster that says what connections begin with.

    Args:
        policy: the traffic policy in force for the port and the subset.
        authentication: all PeerAuthentications.
        service: whose cluster it is.
        port: for which port.
        subset: for which subset.
    """
    if service.external:
        return {}
    match _mode(policy):
        case None if authentication.of_namespace(service.namespace) is Mode.DISABLE:
            return {}
        case None:
            mutual = _istio_mutual(service, port, subset)
            by_mark = {"name": "tlsMode-istio", "match": MARK, "transport_socket": mutual}
            otherwise = {"name": "tlsMode-disabled", "match": {}, "transport_socket": PLAIN_SOCKET}
            return {"transport_socket_matches": [by_mark, otherwise]}
        case "DISABLE":
            return {}
        case "ISTIO_MUTUAL":
            return {"transport_socket": _istio_mutual(service, port, subset)}
        case _:
            return {"transport_socket": _own_tls(policy["tls"], service)}


def mark(
    rule: Rule | None,
    subset: Subset,
    authentication: Authentication,
    service: Service,
    port: Port,
    backend: Backend,
) -> Json:
    """Return the metadata of an endpoint: whether a client that asks it sends mTLS (istio ``mtlsChecker``)."""
    said = _said(subset.policy, port.number) or _said(rule.policy if rule else {}, port.number)
    if said is not None:
        return MARKED if said == ISTIO_MUTUAL else {}
    pod = backend.workload
    if not pod.marked or service.external:
        return {}
    accepted = authentication.of_workload(pod.namespace, pod.labels, backend.port)
    return {} if accepted is Mode.DISABLE else MARKED


def downstream(protocol: Protocol) -> Json:
    """Return the socket by which a sidecar ends its clients' mTLS; it asks for their certificates."""
    own = () if protocol.is_http else IN_MESH[:1]
    common = _common(*own, "h2", "http/1.1") | _validated({"prefix": f"spiffe://{TRUST_DOMAIN}/"})
    return _tls("DownstreamTlsContext", {"common_tls_context": common, "require_client_certificate": True})


def _mode(policy: Document) -> str | None:
    """Return the mode that a policy names; one that is not written is the first of Istio's enumeration."""
    tls = policy.get("tls")
    return None if tls is None else str(tls.get("mode") or DISABLE)


def _said(policy: Document, port: int) -> str | None:
    """Return the mode for endpoints: other than for clusters, a port's settings without TLS hide nothing."""
    for level in policy.get("portLevelSettings") or ():
        if (level.get("port") or {}).get("number") == port and _mode(level) is not None:
            return _mode(level)
    return _mode(policy)


def _istio_mutual(service: Service, port: Port, subset: Subset) -> Json:
    offered = (*IN_MESH, "h2") if port.protocol is Protocol.HTTP2 else IN_MESH
    # istiod lists the service accounts of the endpoints; that they are of the service's namespace is as much here.
    peer = {"prefix": f"spiffe://{TRUST_DOMAIN}/ns/{service.namespace}/"}
    name = f"outbound_.{port.number}_.{subset.name or '_'}_.{service.host}"
    common = _common(*offered) | _validated(peer)
    return _tls("UpstreamTlsContext", {"common_tls_context": common, "sni": name})


def _own_tls(tls: Document, service: Service) -> Json:
    """Return TLS that the application has to end: with no certificate of the mesh, and no protocol of it."""
    return _tls("UpstreamTlsContext", {"common_tls_context": {}, "sni": tls.get("sni") or service.host})


def _common(*offered: str) -> Json:
    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": list(offered),
        "tls_certificate_sds_secret_configs": [_secret(CERTIFICATE)],
    }


def _validated(name: Mapping[str, str]) -> Json:
    context = {"match_typed_subject_alt_names": [{"san_type": "URI", "matcher": name}]}
    combined = {
        "default_validation_context": context,
        "validation_context_sds_secret_config": _secret(ROOT_CERTIFICATE),
    }
    return {"combined_validation_context": combined}


def _secret(name: str) -> Json:
    service = {"envoy_grpc": {"cluster_name": SDS_CLUSTER}}
    source = {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [service]}
    return {
        "name": name,
        "sds_config": {"api_config_source": source, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
    }


def _tls(context: str, fields: Json) -> Json:
    return {"name": TLS_SOCKET, "typed_config": {"@type": TLS_TYPE + context, **fields}}
