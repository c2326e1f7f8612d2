"""Which backends answer for a service port, or for one subset of it. Pure.

Istio sends the endpoints that are ready. Pods stand for EndpointSlices here: the same facts, one step earlier.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from safeapply.resources.objects import Document
from safeapply.sandbox.controlplane.translation.metadata import labels_match, namespace_of
from safeapply.sandbox.controlplane.translation.services import Port, Resolution, Service
from safeapply.sandbox.names import TLS_MODE

__all__ = ["Backend", "Workloads"]


@dataclass(frozen=True, slots=True, order=True)
class Backend:
    """An address and port at which something answers."""

    address: str
    port: int
    workload: Workload = field(compare=False)
    """What it belongs to."""


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """A pod or a workload entry."""

    address: str
    labels: Mapping[str, str]
    ports: Mapping[str, int]
    namespace: str = ""
    marked: bool = False
    """Whether clients send it mutual TLS by themselves."""

    def backend(self, target: int | str) -> Backend | None:
        """Return where it answers for a port, given by number or by name."""
        number = target if isinstance(target, int) else self.ports.get(target)
        return None if number is None else Backend(self.address, number, self)


class _Labelled:
    """Workloads that can be found by their labels."""

    def __init__(self) -> None:
        self._by_label: defaultdict[tuple[str, str, str], list[Workload]] = defaultdict(list)

    def add(self, namespace: str, workload: Workload) -> None:
        """Take one in."""
        for key, value in workload.labels.items():
            self._by_label[namespace, key, value].append(workload)

    def matching(self, namespace: str, selector: Mapping[str, str]) -> Iterator[Workload]:
        """Yield those that carry every pair of a selector; an empty one selects nothing."""
        pairs = [(namespace, key, value) for key, value in selector.items()]
        if pairs:
            fewest = min((self._by_label.get(pair, []) for pair in pairs), key=len)
            yield from (workload for workload in fewest if labels_match(selector, workload.labels))


class Workloads:
    """All ready workloads, by namespace."""

    def __init__(self, pods: Iterable[tuple[str, Document]], entries: Iterable[Document]) -> None:
        self._pods: defaultdict[str, _Labelled] = defaultdict(_Labelled)
        """By cluster: a Service selects the pods of its own."""
        self._entries = _Labelled()
        for cluster, pod in pods:
            if _is_ready(pod):
                self._pods[cluster].add(namespace_of(pod), _of_pod(pod))
        for entry in entries:
            spec = entry.get("spec") or {}
            labels = (entry["metadata"].get("labels") or {}) | (spec.get("labels") or {})
            self._entries.add(namespace_of(entry), _of_entry(spec, labels))
        self._members: dict[Service, tuple[Workload, ...]] = {}

    def backends(self, service: Service, port: Port, labels: Mapping[str, str]) -> tuple[Backend, ...]:
        """Return the backends of a service port whose labels match; every backend matches no labels."""
        if service not in self._members:
            self._members[service] = tuple(self._select(service))
        found = (
            _backend(service, member, port)
            for member in self._members[service]
            if labels_match(labels, member.labels)
        )
        return tuple(sorted({backend for backend in found if backend is not None}))

    def _select(self, service: Service) -> Iterator[Workload]:
        spec = service.document.get("spec") or {}
        if not service.is_entry:
            for cluster, selector in service.selectors:
                yield from self._pods[cluster].matching(service.namespace, selector)
            return
        selector = (spec.get("workloadSelector") or {}).get("labels") or {}
        yield from self._entries.matching(service.namespace, selector)
        for pods in self._pods.values():
            yield from pods.matching(service.namespace, selector)
        for endpoint in spec.get("endpoints") or ():
            yield _of_entry(endpoint, endpoint.get("labels") or {})
        if service.resolution is Resolution.DNS and not spec.get("endpoints") and not selector:
            # The host itself is what is resolved.
            yield Workload(service.host, {}, {})


def _backend(service: Service, workload: Workload, port: Port) -> Backend | None:
    """Return where a workload answers; an entry's endpoint may map the service's port name to its own number."""
    if service.is_entry and port.name in workload.ports:
        return Backend(workload.address, workload.ports[port.name], workload)
    return workload.backend(port.target)


def _is_ready(pod: Document) -> bool:
    status = pod.get("status") or {}
    if not status.get("podIP") or pod["metadata"].get("deletionTimestamp"):
        return False
    return any(
        each.get("type") == "Ready" and each.get("status") == "True" for each in status.get("conditions") or ()
    )


def _of_pod(pod: Document) -> Workload:
    ports = {
        str(port["name"]): int(port["containerPort"])
        for container in (pod.get("spec") or {}).get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("name")
    }
    labels = pod["metadata"].get("labels") or {}
    # Istio goes by the injector's label, and looks at no container (``GetTLSModeFromEndpointLabels``).
    return Workload(str(pod["status"]["podIP"]), labels, ports, namespace_of(pod), labels.get(TLS_MODE) == "istio")


def _of_entry(spec: Document, labels: Mapping[str, str]) -> Workload:
    ports = {str(name): int(number) for name, number in (spec.get("ports") or {}).items()}
    return Workload(str(spec.get("address") or ""), labels, ports)
