"""Replicas of istiod in memory: their debug pages, and their pods."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

from safeapply.errors import IstiodError
from safeapply.istio.replicas import CONFIGZ, SYNCZ, Replica
from safeapply.ports import Answer
from safeapply.resources.objects import Namespace, Resource, ResourceId
from tests.rollout.memory import JumpingClock


class MemoryIstiods:
    """Replicas of istiod that have seen what their scripts say; None for one that does not answer."""

    def __init__(
        self, clock: JumpingClock, scripts: Mapping[str, Callable[[float], Mapping[str, str] | None]]
    ) -> None:
        self._clock = clock
        self._scripts = scripts
        self.asked: list[str] = []
        self.silent: set[str] = set()
        """Replicas that do not tell who is connected."""
        self.refused: dict[str, str] = {}
        """Routes that proxies refused, in Envoy's words."""
        self.connected = {"a.default"}
        """Who is connected to every replica, beside those that refused something."""

    async def ask(self, replica: Replica, path: str, *, deadline: float) -> Answer:
        """Answer ``/debug/configz``, with DestinationRules of namespace default, or ``/debug/syncz``."""
        await asyncio.sleep(0)
        if path == SYNCZ:
            if replica.pod in self.silent:
                raise IstiodError(replica.id, f"no answer within {deadline:g} s")
            refused = self.refused.items()
            type_url = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
            syncs = [{"proxy": proxy, "resources": {type_url: {"lastError": words}}} for proxy, words in refused]
            quiet = [{"proxy": proxy} for proxy in self.connected - self.refused.keys()]
            return Answer(200, json.dumps([*syncs, *quiet]).encode())
        assert path == CONFIGZ
        self.asked.append(replica.pod)
        script = self._scripts.get(replica.pod)
        known = script(self._clock.now()) if script else None
        if known is None:
            raise IstiodError(replica.id, f"no answer within {deadline:g} s")
        page = [
            {
                "kind": "DestinationRule",
                "apiVersion": "networking.istio.io/v1",
                "metadata": {"name": name, "namespace": "default", "resourceVersion": version},
            }
            for name, version in known.items()
        ]
        return Answer(200, json.dumps(page).encode())


def istiod(name: str, revision: str = "default") -> Resource:
    """Return the pod of a replica of istiod."""
    labels = {"app": "istiod", "istio.io/rev": revision}
    metadata = {"name": name, "namespace": "istio-system", "uid": name, "labels": labels}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {"phase": "Running"}}
    return Resource(ResourceId("", "Pod", Namespace("istio-system"), name), document)
