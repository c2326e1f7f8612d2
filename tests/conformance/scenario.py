"""Scenarios: requests to an API server, written down as data and read from ``scenarios/*.yaml``.

A scenario has a title and steps, and is played in a namespace of its own. A step is one request:

    PATCH configmaps/settings merge: {data: {a: "2"}}

Its line is a method, a place, and perhaps the form of its body (``json``, ``merge``, ``strategic``, ``apply``,
``yaml``; ``raw`` sends a body as it stands). A place is a path, or a resource of ``RESOURCES`` below the scenario's
namespace; bodies of resources need not repeat what ``RESOURCES`` says of them. ``WATCH`` is a GET of which as many
lines are read as ``events`` says; ``COMPACT`` has a server forget the past, if it does not do so of itself. Beside
the line a step may have

    keep: {rv: metadata.resourceVersion}    for ${rv} in later steps; ${ns} is the namespace
    headers: {Accept: ...}
    only: [metadata.labels, ...]            what of the answer is compared, where it is not all
    until: {status.phase: Active}           the request is repeated until its answer says so
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["RESOURCES", "Scenario", "Step", "scenarios", "scenarios_of"]

HERE: Final = Path(__file__).parent
FORMS: Final[Mapping[str, str]] = {
    "": "application/json",
    "raw": "application/json",
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
    "yaml": "application/yaml",
}
RESOURCES: Final[Mapping[str, tuple[str, str]]] = {
    "configmaps": ("v1", "ConfigMap"),
    "endpoints": ("v1", "Endpoints"),
    "events": ("v1", "Event"),
    "nodes": ("v1", "Node"),
    "namespaces": ("v1", "Namespace"),
    "pods": ("v1", "Pod"),
    "secrets": ("v1", "Secret"),
    "serviceaccounts": ("v1", "ServiceAccount"),
    "services": ("v1", "Service"),
    "controllerrevisions": ("apps/v1", "ControllerRevision"),
    "daemonsets": ("apps/v1", "DaemonSet"),
    "deployments": ("apps/v1", "Deployment"),
    "replicasets": ("apps/v1", "ReplicaSet"),
    "statefulsets": ("apps/v1", "StatefulSet"),
    "jobs": ("batch/v1", "Job"),
    "horizontalpodautoscalers": ("autoscaling/v2", "HorizontalPodAutoscaler"),
    "poddisruptionbudgets": ("policy/v1", "PodDisruptionBudget"),
    "leases": ("coordination.k8s.io/v1", "Lease"),
    "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice"),
    "events.events.k8s.io": ("events.k8s.io/v1", "Event"),
    "customresourcedefinitions": ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    "networkpolicies": ("networking.k8s.io/v1", "NetworkPolicy"),
    "ingresses": ("networking.k8s.io/v1", "Ingress"),
    "roles": ("rbac.authorization.k8s.io/v1", "Role"),
    "rolebindings": ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    "clusterroles": ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    "clusterrolebindings": ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    "selfsubjectaccessreviews": ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
    "selfsubjectrulesreviews": ("authorization.k8s.io/v1", "SelfSubjectRulesReview"),
    "selfsubjectreviews": ("authentication.k8s.io/v1", "SelfSubjectReview"),
    "destinationrules": ("networking.istio.io/v1", "DestinationRule"),
    "gateways": ("networking.istio.io/v1", "Gateway"),
    "serviceentries": ("networking.istio.io/v1", "ServiceEntry"),
    "sidecars": ("networking.istio.io/v1", "Sidecar"),
    "virtualservices": ("networking.istio.io/v1", "VirtualService"),
    "workloadentries": ("networking.istio.io/v1", "WorkloadEntry"),
    "authorizationpolicies": ("security.istio.io/v1", "AuthorizationPolicy"),
    "peerauthentications": ("security.istio.io/v1", "PeerAuthentication"),
    "requestauthentications": ("security.istio.io/v1", "RequestAuthentication"),
    "gateways.gateway.networking.k8s.io": ("gateway.networking.k8s.io/v1", "Gateway"),
    "httproutes": ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    "widgets": ("conformance.safeapply.dev/v1", "Widget"),
}
OF_CLUSTER: Final = frozenset(
    {
        "clusterrolebindings",
        "clusterroles",
        "customresourcedefinitions",
        "namespaces",
        "nodes",
        "selfsubjectaccessreviews",
        "selfsubjectreviews",
        "selfsubjectrulesreviews",
    }
)
OPTIONS: Final = frozenset({"keep", "headers", "only", "until", "events"})


@dataclass(frozen=True, slots=True)
class Step:
    """One request."""

    line: str
    """As it is written; it names the step in reports."""
    body: Any = None
    keep: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    until: Mapping[str, Any] = field(default_factory=dict)
    events: int = 0

    @property
    def method(self) -> str:
        """GET, POST and so on, or WATCH."""
        return self.line.split()[0]

    @property
    def form(self) -> str:
        """The form of the body, as the line ends with it."""
        words = self.line.split()
        return words[2] if len(words) > 2 else ""

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return self.headers.get("Content-Type", FORMS[self.form])

    @property
    def path(self) -> str:
        """The path with its query, in which ``${ns}`` still stands."""
        place = self.line.split()[1]
        if place.startswith("/"):
            return place
        resource, api_version, _ = self._resource()
        root = "/apis" if "/" in api_version else "/api"
        within = "" if resource in OF_CLUSTER else "/namespaces/${ns}"
        plural = resource.partition(".")[0]
        return f"{root}/{api_version}{within}/{plural}{place.removeprefix(resource)}"

    @property
    def document(self) -> Any:
        """The body with the apiVersion, kind and name that the line implies."""
        place = self.line.split()[1]
        if not isinstance(self.body, dict) or place.startswith("/") or self.method not in {"POST", "PUT", "PATCH"}:
            return self.body
        if self.method == "PATCH" and self.form != "apply":
            return self.body
        resource, api_version, kind = self._resource()
        name = place.partition("?")[0].removeprefix(resource).strip("/").partition("/")[0]
        named = {"name": name} if name and self.method != "POST" else {}
        metadata = {"metadata": {**named, **self.body.get("metadata", {})}} if named else {}
        return {"apiVersion": api_version, "kind": kind, **self.body, **metadata}

    def _resource(self) -> tuple[str, str, str]:
        resource = self.line.split()[1].partition("?")[0].partition("/")[0]
        return resource, *RESOURCES[resource]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Requests that belong together, in a namespace of their own."""

    title: str
    steps: tuple[Step, ...]


def scenarios() -> Mapping[str, tuple[Scenario, ...]]:
    """Return all scenarios, by the name of their file."""
    return {path.stem: scenarios_of(path) for path in sorted((HERE / "scenarios").glob("*.yaml"))}


def scenarios_of(path: Path) -> tuple[Scenario, ...]:
    """Return the scenarios of a file, by title."""
    written = yaml.safe_load(path.read_text())
    return tuple(Scenario(title, tuple(map(_step, steps))) for title, steps in written.items())


def _step(written: str | Mapping[str, Any]) -> Step:
    if isinstance(written, str):
        return Step(written)
    ((line, body),) = _others(written)
    options = {key: value for key, value in written.items() if key in OPTIONS}
    return Step(line, body, **(options | {"only": tuple(options.get("only", ()))}))


def _others(written: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in written.items() if key not in OPTIONS)
