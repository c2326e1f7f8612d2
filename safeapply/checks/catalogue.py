"""Every code that a check can report; ``docs/findings.md`` explains each (a test holds the two together).

The names behind Istio's codes are Istio's (pkg/config/analysis/msg/messages.yaml). The severity is our own:
``IST0173`` is an error to ``istioctl analyze`` always, and here only where a route sends requests to such a subset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = [
    "CONFLICTING_GATEWAYS",
    "CONFLICTING_HOSTS",
    "DELEGATE_NOT_FOUND",
    "HOST_HIDDEN",
    "HOST_NOT_IN_GATEWAY",
    "HOST_OUTSIDE_MESH",
    "HTTP_1_0",
    "INEFFECTIVE_MATCH",
    "INGRESS_NOT_AFFECTED",
    "NAMES",
    "NOT_FOUND",
    "PODS_OUTSIDE_SUBSETS",
    "PORT_NAME",
    "PORT_REQUIRED",
    "SUBSET_HIDDEN",
    "SUBSET_WITHOUT_PODS",
    "TLS_CONFLICT",
    "UNKNOWN_RULE_HOST",
    "UNREACHABLE_RULE",
    "WRONG_PROTOCOL",
]

NOT_FOUND: Final = "IST0101"
CONFLICTING_HOSTS: Final = "IST0109"
PORT_REQUIRED: Final = "IST0112"
TLS_CONFLICT: Final = "IST0113"
PORT_NAME: Final = "IST0118"
UNREACHABLE_RULE: Final = "IST0130"
INEFFECTIVE_MATCH: Final = "IST0131"
HOST_NOT_IN_GATEWAY: Final = "IST0132"
INGRESS_NOT_AFFECTED: Final = "IST0140"
CONFLICTING_GATEWAYS: Final = "IST0145"
SUBSET_WITHOUT_PODS: Final = "IST0173"
UNKNOWN_RULE_HOST: Final = "IST0174"
SUBSET_HIDDEN: Final = "SA0101"
HOST_HIDDEN: Final = "SA0102"
DELEGATE_NOT_FOUND: Final = "SA0103"
WRONG_PROTOCOL: Final = "SA0104"
HOST_OUTSIDE_MESH: Final = "SA0105"
PODS_OUTSIDE_SUBSETS: Final = "SA0106"
HTTP_1_0: Final = "SA0107"

NAMES: Final[Mapping[str, str]] = {
    NOT_FOUND: "ReferencedResourceNotFound",
    CONFLICTING_HOSTS: "ConflictingMeshGatewayVirtualServiceHosts",
    PORT_REQUIRED: "VirtualServiceDestinationPortSelectorRequired",
    TLS_CONFLICT: "MTLSPolicyConflict",
    PORT_NAME: "PortNameIsNotUnderNamingConvention",
    UNREACHABLE_RULE: "VirtualServiceUnreachableRule",
    INEFFECTIVE_MATCH: "VirtualServiceIneffectiveMatch",
    HOST_NOT_IN_GATEWAY: "VirtualServiceHostNotFoundInGateway",
    INGRESS_NOT_AFFECTED: "IngressRouteRulesNotAffected",
    CONFLICTING_GATEWAYS: "ConflictingGateways",
    SUBSET_WITHOUT_PODS: "DestinationRuleSubsetNotSelectPods",
    UNKNOWN_RULE_HOST: "UnknownDestinationRuleHost",
    SUBSET_HIDDEN: "SubsetHiddenByAnotherDestinationRule",
    HOST_HIDDEN: "HostHiddenFromProxies",
    DELEGATE_NOT_FOUND: "DelegateNotFound",
    WRONG_PROTOCOL: "RouteForAnotherProtocol",
    HOST_OUTSIDE_MESH: "HostOutsideTheMesh",
    PODS_OUTSIDE_SUBSETS: "PodsOutsideAllSubsets",
    HTTP_1_0: "HTTP10Only",
}
