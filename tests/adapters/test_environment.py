"""What the environment decides of the way to an API server: its proxy, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.connection import connected

NAMES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "no_proxy", "NO_PROXY", "NETRC")


class Listening:
    """A server that notes what is asked of it, and answers as an API server does."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str | None]] = []
        """Path or address that was asked for, and the credentials."""
        self.url = ""

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Note a request."""
        self.requests.append((str(request.url), request.headers.get("Authorization")))
        return web.json_response({"kind": "Status"})


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Listening]:
    """Run one, where the environment says nothing."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    listening = Listening()
    runner = web.ServerRunner(web.Server(listening.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    listening.url = f"http://{host}:{port}"
    yield listening
    await runner.cleanup()


async def ask(server: str, directory: Path) -> None:
    """Ask a server for its version by a kubeconfig without credentials."""
    file = directory / "kubeconfig"
    document = {
        "clusters": [{"name": "it", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
        "current-context": "it",
    }
    file.write_text(yaml.safe_dump(document))
    async with connected(ClusterAccess(str(file), request_seconds=5.0)) as connection:
        assert (await connection.request("GET", "/version")).ok


class TestEnvironment:
    """The variables and files that HTTP clients look at."""

    async def test_the_proxy_of_the_environment_is_asked(
        self, server: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``HTTP_PROXY`` leads to a server that this machine cannot reach."""
        monkeypatch.setenv("http_proxy", server.url)
        await ask("http://cluster.invalid:6443", tmp_path)
        assert server.requests == [("http://cluster.invalid:6443/version", None)]

    async def test_no_proxy_is_asked_for_a_server_that_no_proxy_names(
        self, server: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``NO_PROXY`` counts more than a proxy, here one at which nobody listens."""
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        await ask(server.url, tmp_path)
        assert [path for path, _ in server.requests] == [f"{server.url}/version"]

    async def test_no_password_of_netrc_is_sent(
        self, server: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is meant for other clients, and kubectl sends none."""
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password secret\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        await ask(server.url, tmp_path)
        assert server.requests == [(f"{server.url}/version", None)]
