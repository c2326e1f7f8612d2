"""The form of Istio's kinds: which fields there are, which have to be there, and what they may say. Pure.

Written down from Istio's API reference for the kinds that a rollout writes or reads; the tests against a real API
server hold it against Istio's own definitions. Kinds that are not here take anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.apiserver.schemas.shapes import (
    ANYTHING,
    DURATION,
    NUMBER,
    TEXT,
    UNSIGNED,
    WHOLE,
    YES,
    Shape,
    at_most_one,
    choice,
    listed,
    mapped,
    record,
    ruled,
    text,
    texts,
    whole,
)

__all__ = ["ISTIO_SCHEMAS"]

_LARGEST_PORT: Final = 65535
_LABELS: Final = mapped(TEXT)
_PERCENTAGE: Final = record(value=NUMBER)


def _is_port(number: int) -> bool:
    return 0 < number <= _LARGEST_PORT


_CHECKED_PORT: Final = ruled(UNSIGNED, (_is_port, "port must be between 1-65535"))


def _count(spec: Mapping[str, Any], *fields: str) -> int:
    return sum(field in spec for field in fields)


# --- VirtualService ---------------------------------------------------------------------------------------------

_MATCH: Final = at_most_one(record(exact=TEXT, prefix=TEXT, regex=TEXT), "exact", "prefix", "regex")
_DESTINATION: Final = record("host", host=TEXT, port=record(number=UNSIGNED), subset=TEXT)
_EDITED_HEADERS: Final = record(add=_LABELS, remove=texts, set=_LABELS)
_HEADERS: Final = record(request=_EDITED_HEADERS, response=_EDITED_HEADERS)
_CORS: Final = record(
    allowCredentials=YES,
    allowHeaders=texts,
    allowMethods=texts,
    allowOrigin=texts,
    allowOrigins=listed(_MATCH),
    exposeHeaders=texts,
    maxAge=DURATION,
    unmatchedPreflights=choice("UNSPECIFIED", "FORWARD", "IGNORE"),
)
_FAULT: Final = record(
    abort=at_most_one(
        record(grpcStatus=TEXT, http2Error=TEXT, httpStatus=WHOLE, percentage=_PERCENTAGE),
        "httpStatus",
        "grpcStatus",
        "http2Error",
    ),
    delay=at_most_one(
        record(exponentialDelay=DURATION, fixedDelay=DURATION, percent=WHOLE, percentage=_PERCENTAGE),
        "fixedDelay",
        "exponentialDelay",
    ),
)
_HTTP_MATCH: Final = record(
    authority=_MATCH,
    gateways=texts,
    headers=mapped(_MATCH),
    ignoreUriCase=YES,
    method=_MATCH,
    name=TEXT,
    port=UNSIGNED,
    queryParams=mapped(_MATCH),
    scheme=_MATCH,
    sourceLabels=_LABELS,
    sourceNamespace=TEXT,
    statPrefix=TEXT,
    uri=_MATCH,
    withoutHeaders=mapped(_MATCH),
)
_REDIRECT: Final = at_most_one(
    record(
        authority=TEXT,
        derivePort=choice("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"),
        port=UNSIGNED,
        prefixRewrite=TEXT,
        redirectCode=UNSIGNED,
        scheme=TEXT,
        uri=TEXT,
    ),
    "port",
    "derivePort",
)
_RETRIES: Final = record(
    attempts=WHOLE,
    backoff=DURATION,
    perTryTimeout=DURATION,
    retryIgnorePreviousHosts=YES,
    retryOn=TEXT,
    retryRemoteLocalities=YES,
)
_HTTP_ROUTE: Final = record(
    corsPolicy=_CORS,
    delegate=record(name=TEXT, namespace=TEXT),
    directResponse=record(
        "status", body=at_most_one(record(bytes=TEXT, string=TEXT), "string", "bytes"), status=UNSIGNED
    ),
    fault=_FAULT,
    headers=_HEADERS,
    match=listed(_HTTP_MATCH),
    mirror=_DESTINATION,
    mirror_percent=UNSIGNED,
    mirrorPercent=UNSIGNED,
    mirrorPercentage=_PERCENTAGE,
    mirrors=listed(record("destination", destination=_DESTINATION, percentage=_PERCENTAGE)),
    name=TEXT,
    redirect=_REDIRECT,
    retries=_RETRIES,
    rewrite=record(authority=TEXT, uri=TEXT, uriRegexRewrite=record(match=TEXT, rewrite=TEXT)),
    route=listed(record("destination", destination=_DESTINATION, headers=_HEADERS, weight=WHOLE)),
    timeout=DURATION,
)
_WEIGHTED: Final = listed(record("destination", destination=_DESTINATION, weight=WHOLE))
_FOURTH_LAYER: Final[Mapping[str, Shape]] = {
    "destinationSubnets": texts,
    "gateways": texts,
    "port": UNSIGNED,
    "sourceLabels": _LABELS,
    "sourceNamespace": TEXT,
}
_VIRTUAL_SERVICE: Final = record(
    exportTo=texts,
    gateways=texts,
    hosts=texts,
    http=listed(_HTTP_ROUTE),
    tcp=listed(record(match=listed(record(**_FOURTH_LAYER, sourceSubnet=TEXT)), route=_WEIGHTED)),
    tls=listed(record("match", match=listed(record("sniHosts", **_FOURTH_LAYER, sniHosts=texts)), route=_WEIGHTED)),
)

# --- DestinationRule --------------------------------------------------------------------------------------------

_CONNECTION_POOL: Final = record(
    http=record(
        h2UpgradePolicy=choice("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"),
        http1MaxPendingRequests=WHOLE,
        http2KeepAlive=record(interval=DURATION, timeout=DURATION),
        http2MaxRequests=WHOLE,
        idleTimeout=DURATION,
        maxConcurrentStreams=WHOLE,
        maxRequestsPerConnection=WHOLE,
        maxRetries=WHOLE,
        useClientProtocol=YES,
    ),
    tcp=record(
        connectTimeout=DURATION,
        idleTimeout=TEXT,
        maxConnectionDuration=DURATION,
        maxConnections=WHOLE,
        tcpKeepalive=record(interval=DURATION, probes=UNSIGNED, time=DURATION),
    ),
)
_FAILOVER: Final = listed(record(**{"from": TEXT, "to": TEXT}))
_LOAD_BALANCER: Final = at_most_one(
    record(
        consistentHash=record(
            httpCookie=record(
                "name", attributes=listed(record("name", name=TEXT, value=TEXT)), name=TEXT, path=TEXT, ttl=TEXT
            ),
            httpHeaderName=TEXT,
            httpQueryParameterName=TEXT,
            maglev=record(tableSize=whole(minimum=0)),
            minimumRingSize=whole(minimum=0),
            ringHash=record(minimumRingSize=whole(minimum=0)),
            useSourceIp=YES,
        ),
        localityLbSetting=record(
            distribute=listed(record(**{"from": TEXT, "to": mapped(UNSIGNED)})),
            enabled=YES,
            failover=_FAILOVER,
            failoverPriority=texts,
        ),
        simple=choice("UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"),
        warmup=record("duration", aggression=NUMBER, duration=DURATION, minimumPercent=NUMBER),
        warmupDurationSecs=DURATION,
        zoneAwareLbSetting=record(
            enabled=YES, failover=_FAILOVER, failoverPriority=texts, minClusterSize=whole(minimum=1)
        ),
    ),
    "simple",
    "consistentHash",
)
_OUTLIER_DETECTION: Final = record(
    baseEjectionTime=DURATION,
    consecutive5xxErrors=UNSIGNED,
    consecutiveErrors=WHOLE,
    consecutiveGatewayErrors=UNSIGNED,
    consecutiveLocalOriginFailures=UNSIGNED,
    interval=DURATION,
    maxEjectionPercent=WHOLE,
    minHealthPercent=WHOLE,
    outlierDetectionHttpErrorCodes=listed(whole(minimum=100, maximum=599)),
    splitExternalLocalOriginErrors=YES,
)
_CLIENT_TLS: Final = record(
    caCertificates=TEXT,
    caCrl=TEXT,
    clientCertificate=TEXT,
    credentialName=TEXT,
    insecureSkipVerify=YES,
    mode=choice("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"),
    privateKey=TEXT,
    sni=TEXT,
    subjectAltNames=texts,
)
_OF_PORT: Final[Mapping[str, Shape]] = {
    "connectionPool": _CONNECTION_POOL,
    "loadBalancer": _LOAD_BALANCER,
    "outlierDetection": _OUTLIER_DETECTION,
    "tls": _CLIENT_TLS,
}
_TRAFFIC_POLICY: Final = record(
    **_OF_PORT,
    portLevelSettings=listed(record(**_OF_PORT, port=record(number=UNSIGNED))),
    proxyProtocol=record(version=choice("V1", "V2")),
    retryBudget=record(budgetInterval=TEXT, minRetryConcurrency=UNSIGNED, percent=NUMBER),
    tunnel=record("targetHost", "targetPort", protocol=TEXT, targetHost=TEXT, targetPort=UNSIGNED),
)
_MATCH_LABELS: Final = mapped(
    ruled(text(maxLength=63), (lambda value: "*" not in value, "wildcard not allowed in label value match")),
)
_SELECTOR: Final = record(
    matchLabels=ruled(
        _MATCH_LABELS,
        (lambda labels: not any("*" in key for key in labels), "wildcard not allowed in label key match"),
        (all, "key must not be empty"),
    )
)
_DESTINATION_RULE: Final = record(
    "host",
    exportTo=texts,
    host=TEXT,
    subsets=listed(record("name", labels=_LABELS, name=TEXT, trafficPolicy=_TRAFFIC_POLICY)),
    trafficPolicy=_TRAFFIC_POLICY,
    workloadSelector=_SELECTOR,
)

# --- Gateway, Sidecar -------------------------------------------------------------------------------------------

_TLS_VERSION: Final = choice("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3")
_SERVER_TLS: Final = ruled(
    record(
        caCertCredentialName=TEXT,
        caCertificates=TEXT,
        caCrl=TEXT,
        cipherSuites=texts,
        credentialName=TEXT,
        credentialNames=listed(TEXT, minItems=1, maxItems=2),
        httpsRedirect=YES,
        insecureSkipVerify=YES,
        maxProtocolVersion=_TLS_VERSION,
        minProtocolVersion=_TLS_VERSION,
        mode=choice("PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"),
        privateKey=TEXT,
        serverCertificate=TEXT,
        subjectAltNames=texts,
        tlsCertificates=listed(
            record(caCertificates=TEXT, privateKey=TEXT, serverCertificate=TEXT), minItems=1, maxItems=2
        ),
        verifyCertificateHash=texts,
        verifyCertificateSpki=texts,
    ),
    (
        lambda tls: _count(tls, "tlsCertificates", "credentialNames") <= 1,
        "only one of credentialNames or tlsCertificates can be set",
    ),
    (
        lambda tls: _count(tls, "credentialName", "credentialNames") <= 1,
        "only one of credentialName or credentialNames can be set",
    ),
)
_GATEWAY: Final = record(
    selector=_LABELS,
    servers=listed(
        record(
            "hosts",
            "port",
            bind=TEXT,
            defaultEndpoint=TEXT,
            hosts=texts,
            name=TEXT,
            port=record(
                "number", "protocol", "name", name=TEXT, number=UNSIGNED, protocol=TEXT, targetPort=UNSIGNED
            ),
            tls=_SERVER_TLS,
        )
    ),
)
_WORKLOADS: Final = record(
    labels=mapped(
        ruled(text(maxLength=63), (lambda value: "*" not in value, "wildcard is not supported in selector"))
    )
)
_SIDECAR_PORT: Final = record(name=TEXT, number=UNSIGNED, protocol=TEXT, targetPort=UNSIGNED)
_CAPTURE: Final = choice("DEFAULT", "IPTABLES", "NONE")
_SIDECAR: Final = record(
    egress=listed(record("hosts", bind=TEXT, captureMode=_CAPTURE, hosts=texts, port=_SIDECAR_PORT)),
    inboundConnectionPool=_CONNECTION_POOL,
    ingress=listed(
        record(
            "port",
            bind=TEXT,
            captureMode=_CAPTURE,
            connectionPool=_CONNECTION_POOL,
            defaultEndpoint=TEXT,
            port=_SIDECAR_PORT,
            tls=_SERVER_TLS,
        )
    ),
    outboundTrafficPolicy=record(egressProxy=_DESTINATION, mode=choice("REGISTRY_ONLY", "ALLOW_ANY")),
    workloadSelector=_WORKLOADS,
)

# --- ServiceEntry, WorkloadEntry --------------------------------------------------------------------------------

_WORKLOAD: Final = ruled(
    record(
        address=text(maxLength=256),
        labels=_LABELS,
        locality=TEXT,
        network=TEXT,
        ports=mapped(_CHECKED_PORT),
        serviceAccount=TEXT,
        weight=UNSIGNED,
    ),
    (lambda entry: "address" in entry or "network" in entry, "Address is required"),
    (
        lambda entry: not (entry.get("address", "").startswith("unix://") and "ports" in entry),
        "UDS may not include ports",
    ),
)


def _numbers_differ(ports: list[Mapping[str, Any]]) -> bool:
    numbers = [port.get("number") for port in ports]
    return len(numbers) == len(set(numbers))


_SERVICE_ENTRY: Final = ruled(
    record(
        "hosts",
        addresses=listed(text(maxLength=64), maxItems=256),
        endpoints=listed(_WORKLOAD),
        exportTo=texts,
        hosts=listed(
            ruled(TEXT, (lambda host: host != "*", "hostname cannot be wildcard")), minItems=1, maxItems=256
        ),
        location=choice("MESH_EXTERNAL", "MESH_INTERNAL"),
        ports=ruled(
            {
                **listed(
                    record(
                        "number", "name", name=TEXT, number=_CHECKED_PORT, protocol=TEXT, targetPort=_CHECKED_PORT
                    ),
                    maxItems=256,
                ),
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            (_numbers_differ, "port number cannot be duplicated"),
        ),
        resolution=choice("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"),
        subjectAltNames=texts,
        workloadSelector=_WORKLOADS,
    ),
    (
        lambda spec: _count(spec, "workloadSelector", "endpoints") <= 1,
        "only one of WorkloadSelector or Endpoints can be set",
    ),
    (
        lambda spec: (
            not any("/" in one for one in spec.get("addresses", ()))
            or spec.get("resolution", "NONE") in {"NONE", "STATIC"}
        ),
        "CIDR addresses are allowed only for NONE/STATIC resolution types",
    ),
    (
        lambda spec: spec.get("resolution", "NONE") != "NONE" or "endpoints" not in spec,
        "NONE mode cannot set endpoints",
    ),
    (
        lambda spec: spec.get("resolution") != "DNS_ROUND_ROBIN" or len(spec.get("endpoints", ())) <= 1,
        "DNS_ROUND_ROBIN mode cannot have multiple endpoints",
    ),
)

# --- Security ---------------------------------------------------------------------------------------------------

_MTLS: Final = record(mode=choice("UNSET", "DISABLE", "PERMISSIVE", "STRICT"))
_PEER_AUTHENTICATION: Final = ruled(
    record(
        mtls=_MTLS,
        portLevelMtls=ruled(
            mapped(_MTLS),
            (
                lambda ports: all(key.isdecimal() and _is_port(int(key)) for key in ports),
                "port must be between 1-65535",
            ),
        ),
        selector=_SELECTOR,
    ),
    (
        lambda spec: "portLevelMtls" not in spec or bool((spec.get("selector") or {}).get("matchLabels")),
        "portLevelMtls requires selector",
    ),
)
_TARGET: Final = record(
    "kind",
    "name",
    group=text(maxLength=253),
    kind=text(minLength=1, maxLength=63),
    name=text(minLength=1, maxLength=253),
    namespace=ruled(TEXT, (lambda name: not name, "cross namespace referencing is not currently supported")),
)
_TARGETED: Final[Mapping[str, Shape]] = {
    "selector": _SELECTOR,
    "targetRef": _TARGET,
    "targetRefs": listed(_TARGET, maxItems=16),
}
_ONE_TARGET: Final = (
    lambda spec: _count(spec, "selector", "targetRef", "targetRefs") <= 1,
    "only one of targetRefs or selector can be set",
)
_SOURCE: Final = record(
    ipBlocks=texts,
    namespaces=texts,
    notIpBlocks=texts,
    notNamespaces=texts,
    notPrincipals=texts,
    notRemoteIpBlocks=texts,
    notRequestPrincipals=texts,
    notServiceAccounts=texts,
    notTrustDomains=texts,
    principals=texts,
    remoteIpBlocks=texts,
    requestPrincipals=texts,
    serviceAccounts=texts,
    trustDomains=texts,
)
_OPERATION: Final = record(
    hosts=texts,
    methods=texts,
    notHosts=texts,
    notMethods=texts,
    notPaths=texts,
    notPorts=texts,
    paths=texts,
    ports=texts,
)
_AUTHORIZATION_RULE: Final = record(
    **{
        "from": listed(record(source=_SOURCE), maxItems=512),
        "to": listed(record(operation=_OPERATION)),
        "when": listed(record("key", key=TEXT, notValues=texts, values=texts)),
    }
)
_AUTHORIZATION_POLICY: Final = ruled(
    at_most_one(
        record(
            action=choice("ALLOW", "DENY", "AUDIT", "CUSTOM"),
            provider=record(name=TEXT),
            rules=listed(_AUTHORIZATION_RULE, maxItems=512),
            **_TARGETED,
        ),
        "provider",
    ),
    _ONE_TARGET,
)
_SAID: Final = text(minLength=1)
_KEYS_URL: Final = ruled(
    text(minLength=1, maxLength=2048),
    (lambda url: url.startswith(("http://", "https://")), "url must have scheme http:// or https://"),
)
_REQUEST_AUTHENTICATION: Final = ruled(
    record(
        jwtRules=listed(
            ruled(
                record(
                    audiences=listed(_SAID),
                    forwardOriginalToken=YES,
                    fromCookies=listed(_SAID),
                    fromHeaders=listed(record("name", name=_SAID, prefix=TEXT)),
                    fromParams=listed(_SAID),
                    issuer=_SAID,
                    jwks=TEXT,
                    jwks_uri=_KEYS_URL,
                    jwksUri=_KEYS_URL,
                    outputClaimToHeaders=listed(record("claim", "header", claim=_SAID, header=_SAID)),
                    outputPayloadToHeader=TEXT,
                    spaceDelimitedClaims=listed(_SAID, maxItems=64),
                    timeout=DURATION,
                ),
                (
                    lambda rule: _count(rule, "jwksUri", "jwks_uri", "jwks") <= 1,
                    "only one of jwks or jwksUri can be set",
                ),
            ),
            maxItems=4096,
        ),
        **_TARGETED,
    ),
    _ONE_TARGET,
)

_NETWORKING: Final = "networking.istio.io"
_SECURITY: Final = "security.istio.io"
_SPEC_REQUIRED: Final = frozenset({GroupKind(_NETWORKING, "ServiceEntry"), GroupKind(_NETWORKING, "WorkloadEntry")})
"""Kinds that nobody can leave without a spec."""
_SPECS: Final[Mapping[GroupKind, Shape]] = {
    GroupKind(_NETWORKING, "DestinationRule"): _DESTINATION_RULE,
    GroupKind(_NETWORKING, "Gateway"): _GATEWAY,
    GroupKind(_NETWORKING, "ServiceEntry"): _SERVICE_ENTRY,
    GroupKind(_NETWORKING, "Sidecar"): _SIDECAR,
    GroupKind(_NETWORKING, "VirtualService"): _VIRTUAL_SERVICE,
    GroupKind(_NETWORKING, "WorkloadEntry"): _WORKLOAD,
    GroupKind(_SECURITY, "AuthorizationPolicy"): _AUTHORIZATION_POLICY,
    GroupKind(_SECURITY, "PeerAuthentication"): _PEER_AUTHENTICATION,
    GroupKind(_SECURITY, "RequestAuthentication"): _REQUEST_AUTHENTICATION,
}
ISTIO_SCHEMAS: Final[Mapping[GroupKind, Shape]] = {
    kind: record(*(("spec",) if kind in _SPEC_REQUIRED else ()), spec=spec, status=ANYTHING)
    for kind, spec in _SPECS.items()
}
"""The schemas of whole objects, less their identity and metadata."""
