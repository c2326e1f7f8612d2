"""Which cluster, and as whom: the kubeconfigs, flags and credential plugins that kubectl knows, and its rules."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from safeapply.sandbox.apiserver import ADMIN, Access, User
from tests.cli.clusters import Said, files, ran
from tests.sandbox.apiserver.cluster import Cluster, config

GONE = "http://127.0.0.1:9"
"""Where nothing listens; asking there takes seconds, and an exit code of 2."""


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a server that knows an administrator and a developer without rights, by their tokens."""
    with Cluster(tmp_path) as running:
        access = Access(running.store, {"root": ADMIN, "dev": User("dev")}, nobody=User("nobody"))
        running.do(lambda: setattr(running.server, "access", access))
        yield running


def kubeconfig(
    path: Path, server: str, user: Mapping[str, Any], *, name: str = "here", current: bool = True
) -> Path:
    """Write a kubeconfig with one context, cluster and user, all of one name."""
    document = {
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": dict(user)}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.write_text(yaml.safe_dump(document | ({"current-context": name} if current else {})))
    return path


def looked(cluster: Cluster, at: Path | str, *options: str, **environment: str) -> Said:
    """Ask what would change, which takes the right to read and to write."""
    settings = files(cluster.directory / "manifests", config("settings", {"key": "value"}))
    words = (sys.executable, "-m", "safeapply", "diff", "-f", settings, *options)
    return ran(*words, kubeconfig=Path(at), **environment)


def plugin(directory: Path, status: Mapping[str, Any] | None, **more: Any) -> dict[str, Any]:
    """Return a user whose credentials come from a program, which notes each time what it is told."""
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    script = directory / "login"
    script.write_text(
        f'#!/bin/sh\necho "$1 $WHO $KUBERNETES_EXEC_INFO" >> {directory}/calls\n'
        f"cat <<'END'\n{json.dumps(credential)}\nEND\n"
    )
    script.chmod(0o755)
    spec = {"apiVersion": credential["apiVersion"], "command": "./login", "interactiveMode": "IfAvailable"}
    return {"exec": {**spec, "args": ["get-token"], "env": [{"name": "WHO", "value": "me"}], **more}}


def test_of_several_kubeconfigs_the_first_wins(guarded: Cluster, tmp_path: Path) -> None:
    """Its current-context, and its entry where two have a name; files that are not there do not count."""
    first = kubeconfig(tmp_path / "first", guarded.server.url, {"token": "root"})
    second = kubeconfig(tmp_path / "second", GONE, {"token": "dev"})
    other = kubeconfig(tmp_path / "other", GONE, {"token": "dev"}, name="elsewhere")
    for paths in (f"{first}:{second}", f"{tmp_path}/missing:{first}:{other}"):
        said = looked(guarded, paths)
        assert (said.code, said.err) == (1, "")


def test_a_context_of_a_later_kubeconfig_can_be_chosen(guarded: Cluster, tmp_path: Path) -> None:
    """And one that is nowhere is an error that names those that there are."""
    first = kubeconfig(tmp_path / "first", GONE, {"token": "dev"}, name="elsewhere")
    second = kubeconfig(tmp_path / "second", guarded.server.url, {"token": "root"}, current=False)
    both = f"{first}:{second}"
    assert looked(guarded, both, "--context", "here").code == 1
    assert looked(guarded, both, "--cluster", "here", "--user", "here").code == 1
    said = looked(guarded, both, "--context", "nowhere")
    assert said.code == 2
    assert said.err == f"error: the kubeconfig at {both} has no context 'nowhere'; it has: elsewhere, here\n"


def test_a_server_and_a_token_are_enough(guarded: Cluster, tmp_path: Path) -> None:
    """No kubeconfig is needed; the token takes the place of the user's own credentials."""
    given = ("--server", guarded.server.url, "--token", "root")
    assert looked(guarded, tmp_path / "none", *given).code == 1
    wrong = kubeconfig(tmp_path / "wrong", GONE, {"token": "dev"})
    assert looked(guarded, wrong, *given).code == 1


def test_whoever_may_impersonate_is_somebody_else(guarded: Cluster, tmp_path: Path) -> None:
    """By flags or by the kubeconfig; the flags win. Rights are those of the other, by his groups too."""
    at = kubeconfig(tmp_path / "config", guarded.server.url, {"token": "root"})
    said = looked(guarded, at, "--as", "dev")
    assert said.code == 2
    assert "dev is not allowed to" in said.err
    groups = ("--as-group", "system:masters", "--as-group", "system:authenticated")
    assert looked(guarded, at, "--as", "dev", *groups).code == 1
    acting = kubeconfig(tmp_path / "acting", guarded.server.url, {"token": "root", "as": "dev"})
    assert "dev is not allowed to" in looked(guarded, acting).err
    assert looked(guarded, acting, "--as", "dev", *groups).code == 1


def test_a_uid_goes_along_with_the_user(guarded: Cluster, tmp_path: Path) -> None:
    """Whoever may act for dev, but not for his UID, is told so by the server."""
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    rules = [
        {"apiGroups": [""], "resources": ["users", "groups"], "verbs": ["impersonate"]},
        {
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["uids"],
            "resourceNames": ["1000"],
            "verbs": ["impersonate"],
        },
    ]
    api = "rbac.authorization.k8s.io/v1"
    role = {"apiVersion": api, "kind": "ClusterRole", "metadata": {"name": "acting"}, "rules": rules}
    binding = {
        "apiVersion": api,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "acting"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "acting"},
        "subjects": [{"kind": "User", "name": "dev"}],
    }
    for path, document in ((roles, role), (roles.replace("clusterroles", "clusterrolebindings"), binding)):
        assert guarded.ask("POST", path, document, Authorization="Bearer root").code == 201
    at = kubeconfig(tmp_path / "config", guarded.server.url, {"token": "dev"})
    acting = ("--as", "admin", "--as-group", "system:masters", "--as-uid")
    assert looked(guarded, at, *acting, "1000").code == 1
    lacks = "dev is not allowed to\n  impersonate uids.authentication.k8s.io 1001"
    assert lacks in looked(guarded, at, *acting, "1001").err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--as-group", "dev"), "--as-group and --as-uid need --as: they say more about the user that it names"),
        (
            ("--insecure-skip-tls-verify", "--certificate-authority", "ca.pem"),
            "--insecure-skip-tls-verify and --certificate-authority exclude each other: leave one of them out",
        ),
        (
            ("--request-timeout", "soon"),
            "--request-timeout soon: not a duration; write it as 500ms, 90s, 5m or 1m30s",
        ),
    ],
)
def test_flags_that_make_no_sense_are_refused(
    guarded: Cluster, tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    """In one sentence, and with the exit code of a wrong use."""
    at = kubeconfig(tmp_path / "config", guarded.server.url, {"token": "root"})
    said = looked(guarded, at, *options)
    assert (said.code, said.err) == (2, f"error: {sentence}\n")


def test_a_plugin_hands_out_the_token(guarded: Cluster, tmp_path: Path) -> None:
    """It runs once, relative to its kubeconfig, with its arguments and variables, and is told what it is asked."""
    user = plugin(
        tmp_path, {"token": "root", "expirationTimestamp": "2999-01-01T00:00:00Z"}, provideClusterInfo=True
    )
    assert looked(guarded, kubeconfig(tmp_path / "config", guarded.server.url, user)).code == 1
    (call,) = (tmp_path / "calls").read_text().splitlines()
    words, told = call.split(" {", 1)
    assert words == "get-token me"
    assert json.loads("{" + told)["spec"] == {"interactive": False, "cluster": {"server": guarded.server.url}}


def test_a_token_whose_time_is_over_is_asked_for_again(guarded: Cluster, tmp_path: Path) -> None:
    """Before it is shown once more, and not only after the server has refused it."""
    user = plugin(tmp_path, {"token": "root", "expirationTimestamp": "2001-01-01T00:00:00Z"})
    assert looked(guarded, kubeconfig(tmp_path / "config", guarded.server.url, user)).code == 1
    assert len((tmp_path / "calls").read_text().splitlines()) > 1


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            {"command": "no-such-login", "installHint": "Get it from\n  the intranet."},
            (
                "the kubeconfig takes its credentials from no-such-login, which cannot be run (No such file or "
                "directory); Get it from the intranet."
            ),
        ),
        (
            {"command": "no-such-login"},
            (
                "the kubeconfig takes its credentials from no-such-login, which cannot be run (No such file or "
                "directory); install it, or use other credentials"
            ),
        ),
        (
            {"command": "false"},
            (
                "false, which the kubeconfig takes its credentials from, ended with exit code 1; run it by itself, "
                "and log in again"
            ),
        ),
        (
            {"command": "true"},
            (
                "true, which the kubeconfig takes its credentials from, printed no client.authentication.k8s.io/v1 "
                "credential"
            ),
        ),
        (
            {"command": "true", "interactiveMode": "Always"},
            (
                "the exec plugin true wants to ask for credentials (interactiveMode: Always), and standard input "
                "is no terminal; log in first, or use other credentials"
            ),
        ),
        (
            {"command": "true", "apiVersion": "client.authentication.k8s.io/v1alpha1"},
            (
                "the kubeconfig's exec plugin 'true' has apiVersion 'client.authentication.k8s.io/v1alpha1'; "
                "name a command, and one of client.authentication.k8s.io/v1, client.authentication.k8s.io/v1beta1"
            ),
        ),
    ],
)
def test_a_plugin_that_gives_nothing_is_an_error_with_a_way_on(
    guarded: Cluster, tmp_path: Path, more: Mapping[str, Any], sentence: str
) -> None:
    """In one sentence; where the kubeconfig says how to install it, in its words."""
    user = plugin(tmp_path, None, **more)
    said = looked(guarded, kubeconfig(tmp_path / "config", guarded.server.url, user))
    assert (said.code, said.err) == (2, f"error: {sentence}\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "it is no mapping"),
        ("clusters: none", "clusters is no list"),
        ("users: [{user: {}}]", "an entry of users has no name, or its user is no mapping"),
        ("apiVersion: v1", "it has no current-context"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_named(guarded: Cluster, tmp_path: Path, text: str, reason: str) -> None:
    """With what is wrong with it."""
    (tmp_path / "config").write_text(text)
    said = looked(guarded, tmp_path / "config")
    assert said.code == 2
    assert said.err.startswith(f"error: no usable kubeconfig at {tmp_path}/config ({reason}); give --kubeconfig")
