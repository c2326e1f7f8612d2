"""What a small live directory leaves out, so that a mesh can run it: namespaces, services, pods, proxies. Pure.

Users try safeapply on a few VirtualServices and DestinationRules. The hosts and subsets that these name become
Services with one ready pod for each set of labels; clients with sidecars are spread over the namespaces, and
every Gateway selector gets a gateway pod. What the directory does declare is never replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from safeapply.resources.objects import Document
from safeapply.sandbox.probes import DOMAIN, fqdn

__all__ = ["Workload", "clients", "gateways", "missing"]

DEFAULT_PORT = 80
ROOT_NAMESPACE = "istio-system"
CLUSTER_SCOPED = frozenset({"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "Node"})
APPLICATION = {"name": "app", "image": "safeapply/sandbox"}
WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})


@dataclass(frozen=True, slots=True)
class Destination:
    """A reference to a host: where from, by which name, on which port, and what is spoken."""

    host: str
    port: int | None
    protocol: str


@dataclass(frozen=True, slots=True)
class Workload:
    """Labels of pods, and the namespace they stand in."""

    namespace: str
    labels: Mapping[str, str]


def missing(live: Sequence[Document], desired: Sequence[Document]) -> tuple[Document, ...]:
    """Return the namespaces, services and pods that the live objects need and do not declare.

    The desired objects are only looked at: a subset that they bring gets its pods in time.
    """
    services = tuple(_missing_services(live, desired))
    pods = tuple(_missing_pods((*live, *services), desired))
    return (*_missing_namespaces((*live, *desired, *services, *pods)), *services, *pods)


def clients(documents: Sequence[Document], count: int) -> tuple[Document, ...]:
    """Return client pods with a sidecar, at least one for each namespace and set of labels that matters."""
    used = sorted({namespace_of(d) for d in documents if d.get("kind") in {"VirtualService", "DestinationRule"}})
    spaces = [space for space in used if space != ROOT_NAMESPACE] or ["default"]
    classes = [Workload(space, {"app": "client"}) for space in spaces]
    classes += [Workload(space, dict(labels)) for space, labels in dict.fromkeys(_chosen_labels(documents))]
    return tuple(
        proxy_pod(f"client-{number + 1}", one.namespace, one.labels, "sidecar")
        for number, one in zip(range(max(count, len(classes))), cycle(classes), strict=False)
    )


def gateways(documents: Iterable[Document]) -> tuple[Document, ...]:
    """Return one gateway pod for each distinct selector of the Gateways."""
    selectors = dict.fromkeys(
        tuple(sorted(document["spec"].get("selector", {}).items()))
        for document in documents
        if document.get("kind") == "Gateway" and document.get("spec")
    )
    return tuple(
        proxy_pod(f"gateway-{number}", ROOT_NAMESPACE, dict(selector), "router")
        for number, selector in enumerate(filter(None, selectors), start=1)
    )


def proxy_pod(name: str, namespace: str, labels: Mapping[str, str], role: str) -> Document:
    """Return a pod that runs an Envoy: a gateway alone, a sidecar beside an application."""
    proxy = {"name": "istio-proxy", "image": "istio/proxyv2", "args": ["proxy", role]}
    # A Service may select a client by the labels that it was given; then it has to answer.
    beside = [APPLICATION] if role == "sidecar" else []
    return _object("v1", "Pod", name, namespace) | {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(labels),
            "annotations": {"istio.io/rev": "default"},
        },
        "spec": {"containers": [*beside, proxy]},
    }


def namespace_of(document: Document) -> str:
    """Return the namespace of an object; empty for cluster-scoped ones."""
    if document.get("kind") in CLUSTER_SCOPED:
        return ""
    return str(document["metadata"].get("namespace") or "default")


def _chosen_labels(documents: Iterable[Document]) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """Yield the labels by which routes, rules and Sidecars choose clients, with the namespace they look in."""
    for document in documents:
        spec = document.get("spec") or {}
        matches = [
            match
            for protocol in ("http", "tcp", "tls")
            for route in (spec.get(protocol) or () if document.get("kind") == "VirtualService" else ())
            for match in route.get("match") or ()
        ]
        selector = spec.get("workloadSelector") or {}
        for labels in (
            *(m.get("sourceLabels") for m in matches),
            selector.get("matchLabels"),
            selector.get("labels"),
        ):
            if labels and document.get("kind") in {"VirtualService", "DestinationRule", "Sidecar"}:
                yield namespace_of(document), tuple(sorted(labels.items()))


def _missing_namespaces(documents: Sequence[Document]) -> Iterator[Document]:
    declared = {d["metadata"]["name"] for d in documents if d.get("kind") == "Namespace"}
    for space in sorted(
        {namespace_of(d) for d in documents} - declared - {"", "default", "kube-system", ROOT_NAMESPACE}
    ):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}


def _missing_services(live: Sequence[Document], desired: Sequence[Document]) -> Iterator[Document]:
    declared = {
        fqdn(d["metadata"]["name"], namespace_of(d)) for d in (*live, *desired) if d.get("kind") == "Service"
    }
    wanted: dict[str, dict[int, str]] = {}
    for destination in _destinations((*live, *desired)):
        ports = wanted.setdefault(destination.host, {})
        if destination.port is not None:
            ports.setdefault(destination.port, destination.protocol)
    for host, ports in wanted.items():
        name, _, rest = host.partition(".")
        namespace, _, domain = rest.partition(".")
        if host not in declared and domain == DOMAIN and "*" not in host:
            yield _service(name, namespace, ports or {DEFAULT_PORT: "http"})


def _destinations(documents: Iterable[Document]) -> Iterator[Destination]:
    for document in documents:
        spec, namespace = document.get("spec") or {}, namespace_of(document)
        match document.get("kind"):
            case "DestinationRule":
                yield Destination(fqdn(str(spec.get("host")), namespace), None, "http")
            case "VirtualService":
                for protocol in ("http", "tcp", "tls"):
                    for route in spec.get(protocol) or ():
                        yield from _of_route(route, namespace, protocol)
            case _:
                pass


def _of_route(route: Document, namespace: str, protocol: str) -> Iterator[Destination]:
    mirrors = [{"destination": route["mirror"]}] if route.get("mirror") else []
    for target in (*(route.get("route") or ()), *(route.get("mirrors") or ()), *mirrors):
        destination = target.get("destination") or {}
        port = (destination.get("port") or {}).get("number")
        if protocol != "http" and port is None:
            port = next((match.get("port") for match in route.get("match") or () if match.get("port")), None)
        if destination.get("host"):
            yield Destination(fqdn(destination["host"], namespace), port, protocol)


def _service(name: str, namespace: str, ports: Mapping[int, str]) -> Document:
    return _object("v1", "Service", name, namespace) | {
        "spec": {
            "selector": {"app": name},
            "ports": [
                {"name": f"{protocol}-{number}", "port": number} for number, protocol in sorted(ports.items())
            ],
        },
    }


def _missing_pods(live: Sequence[Document], desired: Sequence[Document]) -> Iterator[Document]:
    """Yield pods for the services that no declared workload stands behind."""
    workloads = tuple(_workloads((*live, *desired)))
    for service in (d for d in live if d.get("kind") == "Service"):
        selector, namespace = service["spec"].get("selector") or {}, namespace_of(service)
        behind = any(w.namespace == namespace and selector.items() <= w.labels.items() for w in workloads)
        if not selector or behind:
            continue
        name = service["metadata"]["name"]
        sets = dict.fromkeys(((), *_subset_labels((*live, *desired), fqdn(name, namespace))))
        fitting = [labels for labels in map(dict, sets) if all(selector.get(k, v) == v for k, v in labels.items())]
        for number, labels in enumerate(fitting):
            yield _backend_pod(f"{name}-{number}", namespace, {**selector, **labels})


def _workloads(documents: Iterable[Document]) -> Iterator[Workload]:
    for document in documents:
        labels: Mapping[str, str] = {}
        if document.get("kind") == "Pod":
            labels = document["metadata"].get("labels") or {}
        elif document.get("kind") in WORKLOADS:
            template = document["spec"].get("template") or {}
            labels = (template.get("metadata") or {}).get("labels") or {}
        if labels:
            yield Workload(namespace_of(document), labels)


def _subset_labels(documents: Iterable[Document], host: str) -> Iterator[tuple[tuple[str, str], ...]]:
    for document in documents:
        spec = document.get("spec") or {}
        if (
            document.get("kind") == "DestinationRule"
            and fqdn(str(spec.get("host")), namespace_of(document)) == host
        ):
            for subset in spec.get("subsets") or ():
                yield tuple(sorted((subset.get("labels") or {}).items()))


def _backend_pod(name: str, namespace: str, labels: Mapping[str, str]) -> Document:
    return _object("v1", "Pod", name, namespace) | {
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {"containers": [APPLICATION]},
    }


def _object(version: str, kind: str, name: str, namespace: str) -> dict[str, object]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}
