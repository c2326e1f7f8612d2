"""The two servers that scenarios are played against: the embedded one, and a real kube-apiserver with its etcd.

Neither has controllers behind it, so that what is compared is the API server's answer alone, and comes at once.
"""

from __future__ import annotations

import contextlib
import http
import json
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from safeapply.sandbox.apiserver import ADMIN, Access, Store, User
from tests.conformance.playing import Server
from tests.real.programs import Programs
from tests.sandbox.apiserver.cluster import Cluster

__all__ = ["definitions", "embedded", "real"]

READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
PAUSE: Final = 0.05
NOWHERE: Final = "192.0.2.1"
"""What the server says that it is reached at (RFC 5737): it asks for an address, and nobody for it."""
COMPACTED_EVERY: Final = "5s"
"""So that what is from before the last time, and no more, is forgotten soon."""
USERS: Final[Mapping[str, User]] = {
    "admin": ADMIN,
    "reader": User("reader", frozenset({"system:authenticated", "readers"})),
}
"""By token."""
FIRST_VERSION: Final = 100_000
"""Of the embedded server, so that no version looks like another number of an answer."""


@contextlib.contextmanager
def embedded(directory: Path) -> Iterator[Server]:
    """Run the embedded server."""
    store = Store(alone=True)
    store.ledger.begin_at(FIRST_VERSION)
    with Cluster(directory, store) as cluster:
        cluster.server.access = Access(store, USERS)
        yield Server(cluster.server.url, compact=lambda: cluster.do(store.ledger.forget))


@contextlib.contextmanager
def real(directory: Path, programs: Programs) -> Iterator[Server]:
    """Run etcd and kube-apiserver, with the definitions of Istio and of the Gateway API.

    Args:
        directory: for data, keys and logs.
        programs: the real programs, with the definitions that belong to them.
    """
    with contextlib.ExitStack() as running:
        etcd, peer, port = f"http://127.0.0.1:{_free()}", f"http://127.0.0.1:{_free()}", _free()
        cluster = str(programs.path("cluster"))
        running.enter_context(_running((cluster, "etcd", *_etcd(directory, etcd, peer)), directory / "etcd.log"))
        flags = _api_server(directory, etcd, port)
        running.enter_context(_running((cluster, "kube-apiserver", *flags), directory / "apiserver.log"))
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        server = Server(f"https://127.0.0.1:{port}", tls=context)
        _until_ready(server, directory / "apiserver.log")
        _define(server, definitions(programs))
        yield server


def definitions(programs: Programs) -> Iterator[Mapping[str, Any]]:
    """Yield the CustomResourceDefinitions of Istio and of the Gateway API, from the modules themselves."""
    for file in (programs.crds, *sorted((programs.gateway_api / "standard").glob("*_*.yaml"))):
        for document in yaml.safe_load_all(file.read_text()):
            if document and document["kind"] == "CustomResourceDefinition":
                yield document


def _etcd(directory: Path, client: str, peer: str) -> Sequence[str]:
    return (
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    )


def _api_server(directory: Path, etcd: str, port: int) -> Sequence[str]:
    key, tokens = directory / "key.pem", directory / "tokens.csv"
    key.write_bytes(
        rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    own = "system:authenticated"
    tokens.write_text(
        "".join(
            f'{token},{user.name},{user.name},"{",".join(sorted(user.groups - {own}))}"\n'
            for token, user in USERS.items()
        )
    )
    return (
        f"--etcd-servers={etcd}",
        "--bind-address=127.0.0.1",
        f"--advertise-address={NOWHERE}",
        f"--secure-port={port}",
        f"--cert-dir={directory / 'certificates'}",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=RBAC",
        f"--token-auth-file={tokens}",
        "--allow-privileged",
        "--endpoint-reconciler-type=none",
        f"--etcd-compaction-interval={COMPACTED_EVERY}",
        "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
    )


@contextlib.contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _until_ready(server: Server, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _ready(server):
        assert time.monotonic() < deadline, log.read_text()[-4000:]
        time.sleep(PAUSE)


def _ready(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/readyz", context=server.tls, timeout=5):
            return True
    except OSError:
        return False


def _define(server: Server, documents: Iterator[Mapping[str, Any]]) -> None:
    """Create definitions, and wait until each of their versions is served."""
    paths = []
    for document in documents:
        code, said = _asked(server, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", document)
        assert code == http.HTTPStatus.CREATED, said
        spec = document["spec"]
        versions = [one["name"] for one in spec["versions"] if one["served"]]
        paths += [f"/apis/{spec['group']}/{version}/{spec['names']['plural']}" for version in versions]
    deadline = time.monotonic() + READY_SECONDS
    for path in paths:
        while _asked(server, "GET", path)[0] != http.HTTPStatus.OK:
            assert time.monotonic() < deadline, path
            time.sleep(PAUSE)


def _asked(server: Server, method: str, path: str, document: object = None) -> tuple[int, bytes]:
    connection = server.connect()
    try:
        body = None if document is None else json.dumps(document)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {server.token}"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
