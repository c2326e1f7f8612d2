"""A namespace of the real mesh: clients with sidecars, servers behind Services, and requests between them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

from safeapply.resources.objects import Document
from tests.real.load import Load, Probe
from tests.real.mesh import ROOT, Mesh, Result, ended

__all__ = ["EXAMPLES", "Place", "client", "deployment", "documents", "service"]

EXAMPLES: Final = ROOT / "examples"
PREPARE: Final = {"lifecycle": {"preStop": {"sleep": {"seconds": 2}}}}
"""What keeps a pod answering until its endpoint has gone from the proxies."""


class Place:
    """One namespace, to be used as a context."""

    def __init__(self, mesh: Mesh, name: str, *, injected: bool = True) -> None:
        self.mesh, self.name = mesh, name
        self._labels = {"istio-injection": "enabled"} if injected else {}

    def __enter__(self) -> Self:
        """Make it."""
        document = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.name, "labels": self._labels},
        }
        self.mesh.apply([document], namespace="default")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take it away, and return when its pods are gone: proxies of one test must not keep another waiting."""
        self.kubectl("delete", "deployments,replicasets", "--all", "--cascade=orphan")
        self.kubectl("delete", "pods", "--all", "--grace-period=1", "--timeout=60s")
        kinds = "virtualservices,destinationrules,services,configmaps,secrets,leases,serviceaccounts"
        if self.name == "default":  # cannot go
            self.kubectl("delete", kinds, "--all")
        else:
            self.mesh.kubectl("delete", "namespace", self.name, "--wait=false")

    def live(self, found: Sequence[Document], *, clients: int = 2) -> Self:
        """Let these documents be what is live, and return when all pods are ready."""
        self.mesh.apply([*found, client(clients)], namespace=self.name)
        self.mesh.all_ready(self.name)
        return self

    def safeapply(self, *arguments: str) -> Result:
        """Run safeapply for this namespace."""
        return ended(self.started(*arguments))

    def started(self, *arguments: str, kubeconfig: Path | None = None) -> subprocess.Popen[str]:
        """Start safeapply for this namespace."""
        return self.mesh.command(*arguments, namespace=self.name, kubeconfig=kubeconfig)

    def kubectl(
        self, *arguments: str, given: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl for this namespace."""
        return self.mesh.kubectl("--namespace", self.name, *arguments, given=given, check=check)

    def get(self, kind: str, name: str = "") -> dict[str, Any]:
        """Return an object of this namespace, or all of a kind."""
        return self.mesh.get(kind, name, namespace=self.name)

    def pods(self, app: str) -> list[str]:
        """Return the names of the pods of an application that are not ending."""
        items = self.get("pods")["items"]
        return [
            pod["metadata"]["name"]
            for pod in items
            if pod["metadata"]["labels"].get("app") == app and "deletionTimestamp" not in pod["metadata"]
        ]

    def probes(self, *hosts: str, path: str = "/", headers: Mapping[str, str] | None = None) -> list[Probe]:
        """Return a request of each client to each host of this namespace, at all of its Service's ports."""
        return [
            Probe(
                f"{self.name}/{pod}",
                found["spec"]["clusterIP"],
                port["port"],
                "" if str(port.get("name", "")).startswith("tcp") else f"{host}:{port['port']}",
                path,
                tuple((headers or {}).items()),
            )
            for pod in self.pods("client")
            for host in hosts
            for found in (self.get("service", host),)
            for port in found["spec"]["ports"]
        ]

    def outside(self, app: str, port: int, host: str) -> list[Probe]:
        """Return a request from outside of the mesh to each pod of a gateway."""
        addresses = [
            pod["status"]["podIP"] for pod in self.get("pods")["items"] if pod["metadata"]["name"] in self.pods(app)
        ]
        return [Probe("", address, port, host) for address in addresses]

    def load(self, *hosts: str, rate: float = 200.0) -> Load:
        """Return requests of all clients to some hosts."""
        return self.mesh.load(self.probes(*hosts), rate=rate)


def documents(path: Path) -> list[Document]:
    """Return the documents of a file, or of all files of a directory."""
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    return [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]


def client(replicas: int = 2) -> Document:
    """Return pods that only send."""
    return deployment("client", replicas=replicas)


def deployment(
    app: str, version: str = "", *, port: int = 0, replicas: int = 1, sidecar: bool = True, **container: object
) -> Document:
    """Return the Deployment of one version of an application; without a port it answers nothing."""
    labels = {"app": app, **({"version": version} if version else {})}
    ports = {"ports": [{"containerPort": port}], **PREPARE} if port else {}
    spec = {"name": app, "image": f"example.test/{app}:{version or 'v1'}", **ports, **container}
    metadata = {"labels": {**labels, **({} if sidecar else {"sidecar.istio.io/inject": "false"})}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{app}-{version}" if version else app},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": metadata, "spec": {"containers": [spec], "terminationGracePeriodSeconds": 15}},
        },
    }


def service(app: str, *, port: int = 9080, name: str = "http") -> Document:
    """Return the Service of an application."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": app},
        "spec": {"selector": {"app": app}, "ports": [{"name": name, "port": port}]},
    }
