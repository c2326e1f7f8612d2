"""A real control plane of Kubernetes: etcd, kube-apiserver and kube-controller-manager, with RBAC.

It runs where ``enter`` leads, so ports are fixed, and whatever it starts ends with that place.
"""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import trustme
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.real.programs import Programs

__all__ = ["HOST", "ControlPlane", "Process", "until"]

HOST: Final = "10.244.0.1"
"""The address of the node in the network of the pods."""
SERVICES: Final = "10.96.0.0/16"
PORT, ETCD_PORT = 6443, 2379
POLL: Final = 0.02
PATIENCE: Final = 60.0
GRACE: Final = 10.0

Fact = TypeVar("Fact")


def until(fact: Callable[[], Fact | None], what: str, *, seconds: float = PATIENCE) -> Fact:
    """Return a fact as soon as there is one that is neither None nor False.

    Raises:
        TimeoutError: there was none within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while True:
        if (known := fact()) is not None and known is not False:
            return known
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(POLL)


@dataclass(slots=True)
class Process:
    """A program that runs, and the file of what it says."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Self:
        """Start a program in a session of its own: a Ctrl-C meant for the tests must not reach it first."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as said:
            popen = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment, start_new_session=True
            )
        return cls(Path(command[0]).name, popen, log)

    def works(self) -> bool:
        """Return that it still runs.

        Raises:
            RuntimeError: it has ended; with the end of what it said.
        """
        if self.popen.poll() is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])
            raise RuntimeError(f"{self.name} ended with {self.popen.returncode}\n{tail}")
        return True

    def stop(self, sign: int = signal.SIGTERM) -> None:
        """Ask it to end, and end it if it does not."""
        if self.popen.poll() is None:
            self.popen.send_signal(sign)
            try:
                self.popen.wait(GRACE)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()


class ControlPlane:
    """One cluster without nodes; ``kubeconfig`` is its administrator's."""

    def __init__(
        self,
        programs: Programs,
        directory: Path,
        *,
        addresses: Sequence[str] = ("127.0.0.1",),
        flags: Sequence[str] = (),
        controllers: bool = True,
    ) -> None:
        """Start nothing yet.

        Args:
            programs: what to run.
            directory: where certificates, data and logs are kept.
            addresses: where the API server is reached; the first one is in the kubeconfig.
            flags: of the API server, besides its own.
            controllers: whether anything acts on what is written.
        """
        self.programs = programs
        self.directory = directory
        self.authority = trustme.CA()
        self.kubeconfig = directory / "admin.kubeconfig"
        self.url = f"https://{addresses[0]}:{PORT}"
        self._flags = flags
        self._controlled = controllers
        self._running: list[Process] = []
        directory.mkdir(parents=True, exist_ok=True)
        self._write("ca.pem", self.authority.cert_pem.bytes())
        self.issue("server", *addresses, "kubernetes.default.svc", "localhost")
        self.issue("kubelet-client", "kube-apiserver", user="kube-apiserver", group="system:masters")
        self._sign_accounts()
        self.kubeconfig_of("admin", group="system:masters")

    def issue(
        self, name: str, *identities: str, user: str | None = None, group: str | None = None
    ) -> tuple[Path, Path]:
        """Issue a certificate of the cluster's authority and return the files of it and its key."""
        issued = self.authority.issue_cert(*identities, common_name=user, organization_name=group)
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        return self._write(f"{name}.pem", chain), self._write(f"{name}-key.pem", issued.private_key_pem.bytes())

    def kubeconfig_of(self, user: str, *, group: str | None = None, token: str | None = None) -> Path:
        """Write and return the kubeconfig of a user, who has a token or else a certificate."""
        if token is None:
            certificate, key = self.issue(user, user, user=user, group=group)
            credentials = {"client-certificate": str(certificate), "client-key": str(key)}
        else:
            credentials = {"token": token}
        cluster = {
            "server": self.url,
            "certificate-authority": str(self.directory / "ca.pem"),
        }
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "real", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": user}}],
            "current-context": "real",
        }
        return self._write(f"{user}.kubeconfig", yaml.safe_dump(document).encode())

    def start(self) -> None:
        """Start them, and return when the API server is ready and the controllers run."""
        self._run("etcd", *self._etcd())
        api = self._run("kube-apiserver", *self._api_server())
        until(lambda: api.works() and self._answers("/readyz"), f"kube-apiserver is ready; see {api.log}")
        if self._controlled:
            self._run("kube-controller-manager", *self._controllers())
            self.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s")

    def stop(self) -> None:
        """Stop all, the last started first: an API server whose etcd is gone does not leave on SIGTERM."""
        while self._running:
            self._running.pop().stop()

    def kubectl(
        self, *arguments: str, given: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator."""
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        ended = subprocess.run(
            ["kubectl", *arguments], input=given, env=environment, capture_output=True, text=True, check=False
        )
        if check and ended.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {ended.stderr.strip()}")
        return ended

    def token(self, namespace: str, account: str) -> str:
        """Return a token of a service account."""
        return self.kubectl("create", "token", account, "--namespace", namespace).stdout.strip()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _run(self, name: str, *flags: str) -> Process:
        process = Process.start([str(self.programs.path("cluster")), name, *flags], self.directory / f"{name}.log")
        self._running.append(process)
        return process

    def _answers(self, path: str) -> bool:
        context = ssl.create_default_context(cafile=str(self.directory / "ca.pem"))
        context.load_cert_chain(self.directory / "admin.pem", self.directory / "admin-key.pem")
        try:
            with urllib.request.urlopen(f"https://127.0.0.1:{PORT}{path}", context=context, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _etcd(self) -> Sequence[str]:
        here, peers = f"http://127.0.0.1:{ETCD_PORT}", f"http://127.0.0.1:{ETCD_PORT + 1}"
        return (
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={here}",
            f"--advertise-client-urls={here}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--log-level=warn",
        )

    def _api_server(self) -> Sequence[str]:
        own = self.directory
        return (
            f"--etcd-servers=http://127.0.0.1:{ETCD_PORT}",
            f"--secure-port={PORT}",
            f"--advertise-address={HOST}",
            f"--tls-cert-file={own / 'server.pem'}",
            f"--tls-private-key-file={own / 'server-key.pem'}",
            f"--client-ca-file={own / 'ca.pem'}",
            f"--service-account-key-file={own / 'accounts.pub'}",
            f"--service-account-signing-key-file={own / 'accounts.pem'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=RBAC",
            # No controller takes taints off nodes here.
            "--disable-admission-plugins=TaintNodesByCondition",
            f"--kubelet-client-certificate={own / 'kubelet-client.pem'}",
            f"--kubelet-client-key={own / 'kubelet-client-key.pem'}",
            f"--kubelet-certificate-authority={own / 'ca.pem'}",
            "--kubelet-preferred-address-types=InternalIP",
            "--endpoint-reconciler-type=none",
            # Nobody routes cluster IPs outside of pods: webhooks are called at their endpoints.
            "--enable-aggregator-routing=true",
            "--allow-privileged=true",
            *self._flags,
        )

    def _controllers(self) -> Sequence[str]:
        own = self.directory
        return (
            f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={own / 'accounts.pem'}",
            f"--root-ca-file={own / 'ca.pem'}",
            "--leader-elect=false",
            # The node here renews no Lease: it would be taken for dead, and its pods evicted.
            "--controllers=*,-node-lifecycle-controller,-taint-eviction-controller,-node-ipam-controller",
            "--concurrent-deployment-syncs=5",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        )

    def _sign_accounts(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._write("accounts.pem", private)
        self._write("accounts.pub", key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def _write(self, name: str, content: bytes) -> Path:
        file = self.directory / name
        file.write_bytes(content)
        file.chmod(0o600)
        return file
