"""Everything in one snapshot, read once and shared by all proxies. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from safeapply.resources.objects import Document
from safeapply.sandbox.controlplane.snapshots import Snapshot
from safeapply.sandbox.controlplane.translation.authentication import Authentication
from safeapply.sandbox.controlplane.translation.defaults import defaults_of
from safeapply.sandbox.controlplane.translation.endpoints import Workloads
from safeapply.sandbox.controlplane.translation.metadata import (
    ROOT_NAMESPACE,
    age,
    labels_match,
    name_of,
    namespace_of,
)
from safeapply.sandbox.controlplane.translation.rules import Rule, Rules
from safeapply.sandbox.controlplane.translation.services import Service, services_of
from safeapply.sandbox.controlplane.translation.virtualservices import VirtualService, virtual_services_of

__all__ = ["Node", "World"]


@dataclass(frozen=True, slots=True)
class Node:
    """What istiod looks at to decide what a proxy gets. Proxies that are equal in it get the same."""

    role: str
    """``sidecar`` or ``router``."""
    namespace: str
    labels: tuple[tuple[str, str], ...] = ()
    ports: tuple[tuple[str, int], ...] | None = None
    """The ports of its pod by name, where its Envoy stands before them: of sidecars, with mutual TLS."""


class World:
    """The objects of a snapshot, as things that configuration is made from."""

    def __init__(self, snapshot: Snapshot, *, mutual_tls: bool = False) -> None:
        self._defaults = defaults_of(snapshot.of_kind("ConfigMap"))
        spaces = (one for cluster, one in snapshot.with_places("Namespace") if not cluster)
        unread = {name_of(one) for one in spaces if not self._defaults.reads(one["metadata"].get("labels") or {})}
        self._snapshot = snapshot.without(unread) if unread else snapshot
        self.mutual_tls = mutual_tls
        """Whether proxies have certificates, and sidecars stand before their applications too."""

    @cached_property
    def registry(self) -> tuple[Service, ...]:
        """All services, oldest first."""
        services, entries = self._snapshot.with_places("Service"), self._snapshot.of_kind("ServiceEntry")
        return services_of(services, entries, self._defaults.services)

    @cached_property
    def rules(self) -> Rules:
        """All DestinationRules."""
        return Rules(self._snapshot.of_kind("DestinationRule"), self._defaults.destination_rules)

    @cached_property
    def virtual_services(self) -> tuple[VirtualService, ...]:
        """All VirtualServices that have hosts."""
        return virtual_services_of(self._snapshot.of_kind("VirtualService"), self._defaults.virtual_services)

    @cached_property
    def workloads(self) -> Workloads:
        """All ready workloads."""
        return Workloads(self._snapshot.with_places("Pod"), self._snapshot.of_kind("WorkloadEntry"))

    @cached_property
    def authentication(self) -> Authentication:
        """All PeerAuthentications."""
        return Authentication(self._snapshot.of_kind("PeerAuthentication"))

    @cached_property
    def gateways(self) -> tuple[Document, ...]:
        """All Gateways."""
        return tuple(self._snapshot.of_kind("Gateway"))

    def rule(self, service: Service, node: Node) -> Rule | None:
        """Return the DestinationRule in force for a service at a proxy."""
        return self.rules.effective(service.host, service.namespace, node.namespace, dict(node.labels))

    def sidecar(self, node: Node) -> Document | None:
        """Return the Sidecar object in force: one that selects the pod, the namespace's, or the root's."""
        if node.role != "sidecar":
            return None
        labels, others = dict(node.labels), []
        for document in sorted(self._snapshot.of_kind("Sidecar"), key=age):
            selector = ((document.get("spec") or {}).get("workloadSelector") or {}).get("labels")
            if selector is None:
                others.append(document)
            elif namespace_of(document) == node.namespace and labels_match(selector, labels):
                return document
        for namespace in (node.namespace, ROOT_NAMESPACE):
            for document in others:
                if namespace_of(document) == namespace:
                    return document
        return None

    def node(self, role: str, namespace: str, labels: Mapping[str, str], ports: Mapping[str, int]) -> Node:
        """Return the class of a proxy: of its labels, those that some selector in this world names."""
        if role != "sidecar":
            return Node(role, namespace, tuple(sorted(labels.items())))
        selecting = self._selecting_labels
        chosen = ((key, value) for key, value in labels.items() if key in selecting)
        return Node(
            role, namespace, tuple(sorted(chosen)), tuple(sorted(ports.items())) if self.mutual_tls else None
        )

    @cached_property
    def _selecting_labels(self) -> frozenset[str]:
        return frozenset(self._selectors())

    def _selectors(self) -> Iterator[str]:
        if self.mutual_tls:
            yield from self.authentication.labels_read()
            yield from (key for service in self.registry for selector in service.selected for key in selector)
        for rule in self._snapshot.of_kind("DestinationRule"):
            yield from ((rule.get("spec") or {}).get("workloadSelector") or {}).get("matchLabels") or ()
        for sidecar in self._snapshot.of_kind("Sidecar"):
            yield from ((sidecar.get("spec") or {}).get("workloadSelector") or {}).get("labels") or ()
        for service in self.virtual_services:
            for route in (*service.http, *service.tcp, *service.tls):
                for match in route.get("match") or ():
                    yield from match.get("sourceLabels") or ()
