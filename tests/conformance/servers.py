"""The two servers that scenarios are played against: the embedded one, and a real kube-apiserver with its etcd.

Neither has controllers behind it, so that what is compared is the API server's answer alone, and comes at once.
"""

from __future__ import annotations

import contextlib
import http
import json
import ssl
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from safeapply.sandbox.apiserver import ADMIN, Access, Store, User
from tests.conformance.playing import Server
from tests.real.controlplane import ControlPlane, until
from tests.real.programs import Programs
from tests.sandbox.apiserver.cluster import Cluster

__all__ = ["definitions", "embedded", "real"]

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
    flags = (
        f"--token-auth-file={_tokens(directory / 'tokens.csv')}",
        f"--etcd-compaction-interval={COMPACTED_EVERY}",
        # Nobody makes accounts for pods.
        "--disable-admission-plugins=ServiceAccount",
    )
    with ControlPlane(programs, directory, flags=flags, controllers=False) as cluster:
        server = Server(cluster.url, tls=ssl.create_default_context(cafile=str(directory / "ca.pem")))
        _define(server, definitions(programs))
        yield server


def _tokens(file: Path) -> Path:
    own = "system:authenticated"
    file.write_text(
        "".join(
            f'{token},{user.name},{user.name},"{",".join(sorted(user.groups - {own}))}"\n'
            for token, user in USERS.items()
        )
    )
    return file


def definitions(programs: Programs) -> Iterator[Mapping[str, Any]]:
    """Yield the CustomResourceDefinitions of Istio and of the Gateway API, from the modules themselves."""
    for file in (programs.crds, *sorted((programs.gateway_api / "standard").glob("*_*.yaml"))):
        for document in yaml.safe_load_all(file.read_text()):
            if document and document["kind"] == "CustomResourceDefinition":
                yield document


def _define(server: Server, documents: Iterator[Mapping[str, Any]]) -> None:
    """Create definitions, and wait until each of their versions is served."""
    paths = []
    for document in documents:
        code, said = _asked(server, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", document)
        assert code == http.HTTPStatus.CREATED, said
        spec = document["spec"]
        versions = [one["name"] for one in spec["versions"] if one["served"]]
        paths += [f"/apis/{spec['group']}/{version}/{spec['names']['plural']}" for version in versions]
    for path in paths:
        until(partial(_serves, server, path), f"{path} is served")


def _serves(server: Server, path: str) -> bool:
    return _asked(server, "GET", path)[0] == http.HTTPStatus.OK


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
