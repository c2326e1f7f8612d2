"""Credentials go where nobody reads them on the way, and the rest is told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from safeapply.adapters.privacy import is_private
from tests.adapters.servers import http, serving

TOKEN = "aSecretToken"
FORBIDS = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403, "message": "who are you?"}
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the proxies of whoever runs the tests."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("server", "private"),
    [
        ("https://kube.example:6443", True),
        ("http://127.0.0.1:8001", True),
        ("http://127.8.8.8:8001", True),
        ("http://[::1]:8001", True),
        ("http://localhost:8001", True),
        ("http://kube.example:8080", False),
        ("http://localhost.example:8080", False),
        ("http://10.0.0.1:8080", False),
        ("http://127.0.0.1.example", False),
        ("http://127.0.0.1@kube.example", False),
        ("http://2130706433", False),
        ("HTTPS://kube.example", True),
        ("kube.example:8080", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_only_tls_and_this_machine_are_private(server: str, *, private: bool) -> None:
    """Whatever an address looks like."""
    assert is_private({"server": server}) is private


def test_this_machine_is_not_private_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy would read everything, and goes to its own machine in the end."""
    local = {"server": "http://127.0.0.1:8001"}
    assert not is_private({**local, "proxy-url": "http://proxy.example:3128"})
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    assert not is_private(local)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert is_private(local)


async def ran(directory: Path, proxy: str, user: Mapping[str, Any], *options: str) -> tuple[int, str]:
    """Ask a server without TLS, whose way leads through a proxy that listens; return how that ended."""
    config = directory / "config"
    document = {
        "clusters": [{"name": "here", "cluster": {"server": "http://kube.example:8080"}}],
        "users": [{"name": "here", "user": dict(user)}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
        "current-context": "here",
    }
    config.write_text(yaml.safe_dump(document))
    manifest = directory / "a.yaml"
    manifest.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    words = (sys.executable, "-m", "safeapply", "diff", "-f", str(manifest), *options)
    process = await asyncio.create_subprocess_exec(
        *words,
        env={"PATH": "/usr/bin:/bin", "HOME": str(directory), "KUBECONFIG": str(config), "http_proxy": proxy},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, said.decode()


@pytest.mark.parametrize("kind", ["token", "tokenFile", "password", "exec"])
async def test_no_credential_of_a_kubeconfig_is_sent_in_clear(tmp_path: Path, kind: str) -> None:
    """As with kubectl; a plugin is not even run. When the server wants to know who asks, that is the sentence."""
    secret = tmp_path / "token"
    secret.write_text(TOKEN)
    ran_plugin = tmp_path / "ran"
    version = "client.authentication.k8s.io/v1"
    plugin = {"apiVersion": version, "command": "touch", "args": [str(ran_plugin)], "interactiveMode": "Never"}
    users: Mapping[str, Mapping[str, Any]] = {
        "token": {"token": TOKEN},
        "tokenFile": {"tokenFile": str(secret)},
        "password": {"username": "me", "password": TOKEN},
        "exec": {"exec": plugin},
    }
    async with serving(lambda _, writer: writer.write(http(FORBIDS, 403))) as server:
        code, said = await ran(tmp_path, server.url, users[kind], "--as", "somebody")
        assert code == 2
        assert "the credentials of the kubeconfig are not sent there" in said
        assert "Traceback" not in said
        assert server.heads
        heard = "\n".join("\n".join(head) for head in server.heads).lower()
    assert "authorization" not in heard
    assert TOKEN.lower() not in heard
    assert "impersonate-user: somebody" in heard
    assert not ran_plugin.exists()


async def test_a_token_of_the_command_line_is_not_left_out_silently(tmp_path: Path) -> None:
    """Whoever gives it wants it sent: it is refused before anything is asked."""
    async with serving(lambda _, writer: writer.write(http(FORBIDS, 403))) as server:
        code, said = await ran(tmp_path, server.url, {}, "--token", TOKEN)
        assert server.heads == []
    assert code == 2
    assert said.startswith("error: --token: it is not sent to http://kube.example:8080")
