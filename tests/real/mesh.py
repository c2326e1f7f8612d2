"""A whole real mesh: Kubernetes' control plane, two replicas of istiod, a node, and Envoys that carry requests."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

from safeapply.resources.objects import Document
from tests.real import injector
from tests.real.controlplane import HOST, ControlPlane, Process, until
from tests.real.load import Load, Probe
from tests.real.namespaces import bridge
from tests.real.programs import Programs

__all__ = ["ROOT", "SYSTEM", "Mesh", "Result"]

ROOT: Final = Path(__file__).parents[2]
SYSTEM: Final = "istio-system"
SAFEAPPLY: Final = (sys.executable, "-m", "safeapply")
WEBHOOK_PORT: Final = 15017
LONGEST: Final = 180.0
"""Seconds that a command may take before it counts as hanging."""
MESH_CONFIG: Final[Mapping[str, Any]] = {
    "rootNamespace": SYSTEM,
    "trustDomain": "cluster.local",
    # Upstream Envoy lacks the extensions that Istio's own would report metrics by.
    "defaultProviders": {},
    "enablePrometheusMerge": False,
    "defaultConfig": {"discoveryAddress": f"{HOST}:15010"},
}
ENVIRONMENT: Final[Mapping[str, str]] = {
    "CLUSTER_ID": "Kubernetes",
    "REVISION": "default",
    "ENABLE_CA_SERVER": "false",
    "PILOT_CERT_PROVIDER": "none",
    "INJECT_ENABLED": "false",
    "XDS_AUTH": "false",
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "PILOT_ENABLE_TELEMETRY_LABEL": "false",
    "VALIDATION_WEBHOOK_CONFIG_NAME": "",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


class Mesh:
    """The mesh that a run of the tests shares; each test has a namespace of its own."""

    def __init__(self, programs: Programs, directory: Path) -> None:
        """Start nothing yet; all that it writes is in ``directory``."""
        self.programs = programs
        self.directory = directory
        self.control_plane = ControlPlane(programs, directory, addresses=("127.0.0.1", HOST))
        self._running: list[Process] = []

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.control_plane.kubeconfig

    def __enter__(self) -> Self:
        """Start all of it; what has started is stopped where a part does not start."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all of it."""
        self.stop()

    def stop(self) -> None:
        """End what runs: the node and its pods, then the control plane."""
        while self._running:
            self._running.pop().stop()
        self.control_plane.stop()

    def kubectl(
        self, *arguments: str, given: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator."""
        return self.control_plane.kubectl(*arguments, given=given, check=check)

    def get(self, kind: str, name: str = "", *, namespace: str = "") -> dict[str, Any]:
        """Return an object, or a list of all of a kind."""
        place = ("--namespace", namespace) if namespace else ("--all-namespaces",)
        said = self.kubectl("get", kind, *((name,) if name else ()), *place, "-o", "json").stdout
        document: dict[str, Any] = json.loads(said)
        return document

    def apply(self, documents: Sequence[Document], *, namespace: str) -> None:
        """Apply documents by kubectl, as those who set a mesh up do."""
        self.kubectl("apply", "--namespace", namespace, "-f", "-", given=yaml.safe_dump_all(map(dict, documents)))

    def all_ready(self, namespace: str) -> None:
        """Return when every Deployment of a namespace is rolled out, and no pod of it is ending."""
        for deployment in self.get("deployments", namespace=namespace)["items"]:
            name = deployment["metadata"]["name"]
            rollout = ("rollout", "status", f"deployment/{name}", "--namespace", namespace, "--timeout=90s")
            ended = self.kubectl(*rollout, check=False)
            assert ended.returncode == 0, ended.stderr + (self.directory / "node.log").read_text()

    def command(
        self, *arguments: str, namespace: str = "", kubeconfig: Path | None = None, **variables: str
    ) -> subprocess.Popen[str]:
        """Start safeapply against the mesh, as its administrator or with another kubeconfig."""
        place = ("--namespace", namespace) if namespace else ()
        return subprocess.Popen(
            [*SAFEAPPLY, *arguments, *place],
            env={**os.environ, "KUBECONFIG": str(kubeconfig or self.kubeconfig), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def safeapply(self, *arguments: str, namespace: str = "", kubeconfig: Path | None = None) -> Result:
        """Run safeapply to its end."""
        return ended(self.command(*arguments, namespace=namespace, kubeconfig=kubeconfig))

    def load(self, probes: Sequence[Probe], *, rate: float = 200.0) -> Load:
        """Return requests that pods send, to be used as a context."""
        return Load(self.directory / "pods", probes, rate=rate)

    def restart_envoy(self, namespace: str, pod: str) -> None:
        """Kill the Envoy of a pod; its container starts again."""
        os.kill(int((self.directory / "logs" / namespace / pod / "envoy.pid").read_text()), signal.SIGKILL)

    def _start(self) -> None:
        bridge()
        self.control_plane.start()
        for name in ("kubelet", injector.INJECTOR):
            self.control_plane.issue(name, HOST, "node")
        self._run("kubelet", *self._streams())
        ready = self.directory / "node.ready"
        node = self._run("node", sys.executable, "-m", "tests.real.node", *map(str, self._node()))
        self.kubectl("apply", "--server-side", "-f", str(self.programs.crds))
        self.kubectl("apply", "--server-side", "-k", str(self.programs.gateway_api))
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        until(lambda: node.works() and ready.exists(), f"the node is ready; see {node.log}")
        self._start_istiod()
        authority = self.control_plane.authority.cert_pem.bytes()
        for document in (validation(authority), injector.configuration(authority)):
            self.kubectl("apply", "-f", "-", given=json.dumps(document))

    def _start_istiod(self) -> None:
        certificate, key = self.control_plane.issue("istiod", f"istiod.{SYSTEM}.svc")
        mesh_config = self.directory / "mesh.yaml"
        mesh_config.write_text(yaml.safe_dump(dict(MESH_CONFIG)))
        kubeconfig = self.directory / "istiod.kubeconfig"
        kubeconfig.write_text(self.kubeconfig.read_text().replace("127.0.0.1", HOST))
        self.kubectl("create", "namespace", SYSTEM)
        arguments = (
            "discovery",
            f"--kubeconfig={kubeconfig}",
            f"--meshConfig={mesh_config}",
            f"--tlsCertFile={certificate}",
            f"--tlsKeyFile={key}",
            f"--caCertFile={self.directory / 'ca.pem'}",
            "--httpAddr=:8080",
            "--grpcAddr=:15010",
            "--monitoringAddr=:15014",
            f"--httpsAddr=:{WEBHOOK_PORT}",
            "--secureGRPCAddr=",
            "--ctrlz_port=0",
        )
        for document in istiod(arguments, MESH_CONFIG):
            self.kubectl("apply", "-f", "-", given=json.dumps(document))
        self.all_ready(SYSTEM)

    def _streams(self) -> Sequence[str]:
        own = self.directory
        (own / "pods").mkdir()
        return (
            str(self.programs.path("kubelet")),
            f"--cert={own / 'kubelet.pem'}",
            f"--key={own / 'kubelet-key.pem'}",
            f"--client-ca={own / 'ca.pem'}",
            f"--pods={own / 'pods'}",
        )

    def _node(self) -> Sequence[Path | str]:
        return (self.directory, self.programs.directory, self.programs.release)

    def _run(self, name: str, *command: str) -> Process:
        # pods/exec runs Istio's agent as it is found on the path.
        environment = {**os.environ, "PATH": f"{self.programs.directory}{os.pathsep}{os.environ['PATH']}"}
        process = Process.start(command, self.directory / f"{name}.log", environment)
        self._running.append(process)
        return process


def ended(process: subprocess.Popen[str]) -> Result:
    """Return what a command said; one that hangs, or ends in a traceback, fails the test."""
    try:
        out, err = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it hangs\n{out}\n{err}") from None
    assert "Traceback" not in err, err
    return Result(process.returncode, out, err)


def istiod(arguments: Sequence[str], mesh_config: Mapping[str, Any]) -> Sequence[Document]:
    """Return the two replicas of istiod, their Service, and the ConfigMap in which Istio keeps the MeshConfig."""
    labels = {"app": "istiod", "istio.io/rev": "default"}
    container = {
        "name": "discovery",
        "image": "istio/pilot",
        "args": list(arguments),
        "env": [{"name": name, "value": value} for name, value in ENVIRONMENT.items()],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1},
    }
    ports = {"grpc-xds": (15010, 15010), "https-webhook": (443, WEBHOOK_PORT), "http-monitoring": (15014, 15014)}
    return (
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "istio", "namespace": SYSTEM},
            "data": {"mesh": yaml.safe_dump(dict(mesh_config))},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "istiod", "namespace": SYSTEM, "labels": labels},
            "spec": {
                "selector": {"app": "istiod"},
                "ports": [{"name": n, "port": p, "targetPort": t} for n, (p, t) in ports.items()],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "istiod", "namespace": SYSTEM, "labels": labels},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "istiod"}},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
    )


def validation(authority: bytes) -> Document:
    """Return Istio's own check of every write, which fails where istiod does not answer."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"istio-validator-{SYSTEM}"},
        "webhooks": [
            {
                "name": "rev.validation.istio.io",
                "clientConfig": {
                    "service": {"name": "istiod", "namespace": SYSTEM, "path": "/validate", "port": 443},
                    "caBundle": base64.b64encode(authority).decode(),
                },
                "rules": [
                    {
                        "operations": ["CREATE", "UPDATE"],
                        "apiGroups": [
                            f"{group}.istio.io" for group in ("security", "networking", "telemetry", "extensions")
                        ],
                        "apiVersions": ["*"],
                        "resources": ["*"],
                    }
                ],
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }
