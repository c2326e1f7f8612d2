"""An API server on a socket, in a thread of its own so that clients may block, and the objects that tests write."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml

from safeapply.sandbox.apiserver import ApiServer, Store

T = TypeVar("T")
PATIENCE = 20.0
RULES = "/apis/networking.istio.io/v1/namespaces/default/destinationrules"
SERVICES = "/api/v1/namespaces/default/services"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    code: int
    body: Mapping[str, Any]

    @property
    def status(self) -> tuple[int, str]:
        """The code and the reason of a ``Status``, which says its own code again."""
        assert (self.body["kind"], self.body["status"]) == ("Status", "Failure")
        assert self.body["code"] == self.code
        return self.code, self.body.get("reason", "")


@dataclass
class Cluster:
    """A running server, and a plain HTTP client for what no library would send."""

    directory: Path
    store: Store = field(default_factory=Store)
    sockets: dict[int, str] = field(default_factory=dict)
    """What answers at the ports of every pod."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.server = ApiServer(self.store, admin_address=lambda *pod: self.sockets.get(pod[2]))
        self.start()
        self.kubeconfig = self.directory / "kubeconfig"
        self.kubeconfig.write_text(self.server.kubeconfig())
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def start(self, port: int = 0) -> None:
        """Start the server; one that was stopped at the port that it had."""
        asyncio.run_coroutine_threadsafe(self.server.start(port), self._loop).result(PATIENCE)

    def stop(self) -> None:
        """Stop the server; it may be stopped again."""
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result(PATIENCE)

    def do(self, action: Callable[[], T]) -> T:
        """Run something in the server's own thread, where alone the store may be touched."""

        async def run() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(PATIENCE)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send one request, a document as JSON and bytes as they are, and read the answer."""
        connection = http.client.HTTPConnection(self.server.url.removeprefix("http://"), timeout=PATIENCE)
        sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        named = {key.replace("_", "-"): text for key, text in headers.items()}
        try:
            connection.request(method, path, sent, {"Content-Type": "application/json"} | named)
            answer = connection.getresponse()
            is_json = answer.headers.get_content_type() == "application/json"
            said = answer.read()
            return Answer(answer.status, json.loads(said) if is_json else {"message": said.decode()})
        finally:
            connection.close()

    def apply(self, path: str, document: object, by: str, *, force: bool = False, also: str = "") -> Answer:
        """Apply an object, server side, as a field manager."""
        query = f"fieldManager={by}&force={str(force).lower()}{also}"
        return self.ask("PATCH", f"{path}?{query}", yaml.safe_dump(document).encode(), Content_Type=APPLY)

    def events(self, path: str, query: str) -> Generator[dict[str, Any], None, None]:
        """Yield what a watch is told, until it ends; each line has to come before the deadline."""
        connection = http.client.HTTPConnection(self.server.url.removeprefix("http://"), timeout=PATIENCE)
        try:
            connection.request("GET", f"{path}?watch=1&{query}")
            with connection.getresponse() as answer:
                while line := answer.readline():
                    yield json.loads(line)
        finally:
            connection.close()


def rule(name: str = "reviews", *subsets: str, version: str = "v1", **spec: object) -> dict[str, Any]:
    """Return a DestinationRule with subsets, each for the label of its name."""
    named = [{"name": subset, "labels": {"version": subset}} for subset in subsets]
    return {
        "apiVersion": f"networking.istio.io/{version}",
        "kind": "DestinationRule",
        "metadata": {"name": name},
        "spec": {"host": name, **({"subsets": named} if named else {}), **spec},
    }


def service(name: str = "reviews", *ports: int, **spec: object) -> dict[str, Any]:
    """Return a Service with ports."""
    numbered = [{"name": f"http-{port}", "port": port} for port in ports or (9080,)]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": numbered, **spec},
    }


def config(name: str = "settings", data: Mapping[str, object] | None = None, **metadata: object) -> dict[str, Any]:
    """Return a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": dict(data or {}),
    }
