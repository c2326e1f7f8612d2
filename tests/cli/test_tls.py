"""The way to an API server that speaks TLS: whom one believes, by what name, and what one shows oneself."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
import trustme
import yaml

from safeapply.sandbox.apiserver import ADMIN, Access, User
from tests.cli.clusters import Said, files, ran
from tests.sandbox.apiserver.cluster import Cluster, config

NAME = "kubernetes.internal"
"""What the server's certificate says beside its address, in the test that is about names."""


class Guarded:
    """A server with TLS that knows an administrator by token or certificate, and lets nobody else do anything."""

    def __init__(self, directory: Path, *names: str) -> None:
        self.authority = trustme.CA()
        self.directory = directory
        self.cluster = Cluster(directory)
        self.names = names
        self.ca = directory / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.ca))

    def __enter__(self) -> Self:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.verify_mode = ssl.CERT_OPTIONAL
        self.authority.configure_trust(context)
        self.authority.issue_cert(*self.names).configure_cert(context)
        self.cluster.__enter__()
        self.cluster.stop()
        server = self.cluster.server
        server.tls = context
        server.access = Access(self.cluster.store, {"root": ADMIN}, nobody=User("nobody"))
        self.cluster.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cluster.__exit__()

    def issued(self, user: str, *groups: str) -> tuple[Path, Path]:
        """Return certificate and key of a user, as files."""
        pair = self.authority.issue_cert(common_name=user, organization_name=groups[0] if groups else None)
        paths = (self.directory / f"{user}.pem", self.directory / f"{user}.key")
        pair.cert_chain_pems[0].write_to_path(str(paths[0]))
        pair.private_key_pem.write_to_path(str(paths[1]))
        return paths

    def looked(
        self, *options: str, user: Mapping[str, Any] | None = None, believing: Mapping[str, str] | None = None
    ) -> Said:
        """Ask what would change, which takes all rights; exit code 1 says that something would."""
        document = {
            "clusters": [{"name": "here", "cluster": {"server": self.cluster.server.url, **(believing or {})}}],
            "users": [{"name": "here", "user": dict({"token": "root"} if user is None else user)}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
            "current-context": "here",
        }
        path = self.directory / "config"
        path.write_text(yaml.safe_dump(document))
        settings = files(self.directory / "manifests", config("settings", {"key": "value"}))
        return ran(sys.executable, "-m", "safeapply", "diff", "-f", settings, *options, kubeconfig=path)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    """Hand over a server whose certificate is for its address."""
    with Guarded(tmp_path, "127.0.0.1") as running:
        yield running


def test_a_server_is_believed_by_its_authority_alone(guarded: Guarded) -> None:
    """By flag or kubeconfig; without it the handshake fails, in one sentence, and nothing is asked."""
    assert guarded.looked("--certificate-authority", str(guarded.ca)).code == 1
    assert guarded.looked(believing={"certificate-authority": str(guarded.ca)}).code == 1
    said = guarded.looked()
    assert said.code == 2
    assert said.err.startswith(
        f"error: the TLS handshake with the API server at {guarded.cluster.server.url} failed"
    )
    assert said.err.count("\n") == 1


def test_whoever_does_not_want_to_know_is_asked_anyway(guarded: Guarded, tmp_path: Path) -> None:
    """--insecure-skip-tls-verify believes whoever answers, also where the kubeconfig names another authority."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    assert guarded.looked(believing={"certificate-authority": str(other)}).code == 2
    assert guarded.looked("--insecure-skip-tls-verify", believing={"certificate-authority": str(other)}).code == 1


def test_a_certificate_may_be_for_another_name(tmp_path: Path) -> None:
    """As behind a tunnel: --tls-server-name says which name it has to have."""
    with Guarded(tmp_path, NAME) as guarded:
        trusting = ("--certificate-authority", str(guarded.ca))
        assert "TLS handshake" in guarded.looked(*trusting).err
        assert guarded.looked(*trusting, "--tls-server-name", NAME).code == 1
        assert guarded.looked(*trusting, believing={"tls-server-name": NAME}).code == 1
        assert "TLS handshake" in guarded.looked(*trusting, "--tls-server-name", "another.internal").err


def test_a_certificate_says_who_one_is(guarded: Guarded) -> None:
    """By kubeconfig or flags, which take its place; rights are those of its common name and organization."""
    trusting = ("--certificate-authority", str(guarded.ca))
    root, dev = guarded.issued("root", "system:masters"), guarded.issued("dev")
    shown = {"client-certificate": str(root[0]), "client-key": str(root[1])}
    assert guarded.looked(*trusting, user=shown).code == 1
    flags = ("--client-certificate", str(dev[0]), "--client-key", str(dev[1]))
    assert "dev is not allowed to" in guarded.looked(*trusting, *flags, user=shown).err
    assert "nobody is not allowed to" in guarded.looked(*trusting, user={}).err


def test_a_certificate_that_cannot_be_used_is_an_error(guarded: Guarded, tmp_path: Path) -> None:
    """Not there, no certificate, without its key, with the key of another: one sentence that names it."""
    trusting = ("--certificate-authority", str(guarded.ca))
    (root, key), (_, others) = guarded.issued("root", "system:masters"), guarded.issued("dev")
    (tmp_path / "text.pem").write_text("no certificate\n")
    for certificate, private in ((root, others), (tmp_path / "text.pem", key), (tmp_path / "none.pem", key)):
        said = guarded.looked(
            *trusting, "--client-certificate", str(certificate), "--client-key", str(private), user={}
        )
        assert (said.code, said.err.count("\n")) == (2, 1), said.err
        assert certificate.name in said.err
    said = guarded.looked("--certificate-authority", str(tmp_path / "none.pem"))
    assert (said.code, "none.pem" in said.err) == (2, True), said.err


def handing_out(guarded: Guarded, *credentials: tuple[tuple[Path, Path], str]) -> Mapping[str, Any]:
    """Return a user whose plugin hands out certificates, one after the other, the last for ever."""
    directory = guarded.directory
    for number, ((certificate, key), expires) in enumerate(credentials):
        status = {
            "clientCertificateData": certificate.read_text(),
            "clientKeyData": key.read_text(),
            "expirationTimestamp": expires,
        }
        document = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
        (directory / f"credential-{number}").write_text(json.dumps(document))
    script = directory / "login"
    last = len(credentials) - 1
    script.write_text(
        f"#!/bin/sh\ncd {directory}\necho asked >> calls\nn=$(($(wc -l < calls) - 1))\n"
        f"[ $n -gt {last} ] && n={last}\ncat credential-$n\n"
    )
    script.chmod(0o755)
    spec = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "interactiveMode": "Never"}
    return {"exec": spec}


def test_a_plugin_hands_out_a_certificate(guarded: Guarded) -> None:
    """It is shown from the first request on."""
    user = handing_out(guarded, (guarded.issued("root", "system:masters"), "2999-01-01T00:00:00Z"))
    assert guarded.looked("--certificate-authority", str(guarded.ca), user=user).code == 1


def test_a_certificate_that_the_plugin_renews_is_shown_in_place_of_the_old_one(guarded: Guarded) -> None:
    """The first is of a user without rights, and its time is over: every request shows the second."""
    user = handing_out(
        guarded,
        (guarded.issued("dev"), "2001-01-01T00:00:00Z"),
        (guarded.issued("root", "system:masters"), "2999-01-01T00:00:00Z"),
    )
    said = guarded.looked("--certificate-authority", str(guarded.ca), user=user)
    assert (said.code, said.err) == (1, "")
    assert (guarded.directory / "calls").read_text().count("asked") == 2
