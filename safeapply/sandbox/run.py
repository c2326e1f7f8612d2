"""A command under load: what the clients of a mesh see while something changes it.

Start a mesh, let requests flow through every Envoy, run the command with KUBECONFIG set, wait until the mesh has
settled, and count. The command is a black box; it may be kubectl, safeapply, or a shell script.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import IO, Any

from safeapply.sandbox.controlplane.deliveries import Delivery
from safeapply.sandbox.controlplane.snapshots import Write
from safeapply.sandbox.foreground import run_command
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.tally import Tally
from safeapply.sandbox.traffic import Traffic

__all__ = ["DEFAULT_RATE", "RunReport", "run_under_load"]

DEFAULT_RATE = 1000.0
SETTLE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class RunReport:
    """What happened during one command. All times are on the monotonic clock."""

    scene: Scene
    rate: float
    proxies: tuple[str, ...]
    exit_code: int
    started: float
    ended: float
    """When the command ended."""
    settled: float
    """When every Envoy had confirmed the last of its writes."""
    tally: Tally
    writes: tuple[Write, ...]
    """What the command wrote that istiod reads, oldest first."""
    deliveries: tuple[Delivery, ...]
    """What the control plane sent because of it."""

    def to_document(self) -> Mapping[str, Any]:
        """Return the JSON report."""
        tally, delays = self.tally, self.scene.delays
        return {
            "requests": tally.requests,
            "failed": tally.failed,
            "byFlag": tally.by_flag,
            "seconds": round(self.ended - self.started, 3),
            "settledSeconds": round(self.settled - self.started, 3),
            "proxies": len(self.proxies),
            "exitCode": self.exit_code,
            "byProxy": tally.by_proxy,
            "byRequest": tally.by_request,
            "bySecond": {str(second): failed for second, failed in tally.by_second.items()},
            "lost": _named(tally.lost),
            "gained": _named(tally.gained),
            "rps": self.rate,
            "seed": self.scene.seed,
            "delays": {
                "replicas": self.scene.replicas,
                "informerLag": str(delays.lag),
                "pushDelay": str(delays.push),
                "debounceSeconds": delays.debounce,
                "debounceMaxSeconds": delays.debounce_max,
            },
        }


async def run_under_load(
    command: Sequence[str],
    *,
    scene: Scene,
    rate: float = DEFAULT_RATE,
    output: IO[str] | None = None,
    meanwhile: Callable[[Mesh], AbstractAsyncContextManager[object]] = nullcontext,
) -> RunReport:
    """Run a command against a fresh mesh while requests flow, and return what became of them.

    Args:
        command: the program and its arguments; it finds the mesh by the environment variable KUBECONFIG.
        scene: what the mesh is made of.
        rate: requests per second, in all.
        output: where the command's standard output goes; ours if not given.
        meanwhile: what else goes on in the mesh while the command runs.

    Raises:
        SandboxError: the mesh could not be started, or did not settle.
    """
    async with Mesh(scene) as mesh, await Traffic.start(mesh.targets(), rate=rate, seed=scene.seed) as traffic:
        await traffic.before()
        known, started = mesh.store.resource_version, time.monotonic()
        environment = {**os.environ, "KUBECONFIG": str(mesh.kubeconfig)}
        async with meanwhile(mesh):
            exit_code = await run_command(command, env=environment, janitor=mesh.janitor, output=output)
        ended = time.monotonic()
        await mesh.settled(within=SETTLE_SECONDS)
        settled = time.monotonic()
        return RunReport(
            scene=scene,
            rate=rate,
            proxies=mesh.proxies,
            exit_code=exit_code,
            started=started,
            ended=ended,
            settled=settled,
            tally=await traffic.after(),
            writes=_writes(mesh, since=known),
            deliveries=tuple(one for one in mesh.control_plane.deliveries() if one.sent >= started),
        )


def _writes(mesh: Mesh, *, since: int) -> tuple[Write, ...]:
    """Return the writes of the command; pods are the kubelet's."""
    return tuple(
        write for write in mesh.control_plane.writes() if write.resource_version > since and write.id.kind != "Pod"
    )


def _named(requests: Mapping[str, Sequence[str]]) -> list[Mapping[str, Any]]:
    return [{"request": request, "proxies": list(proxies)} for request, proxies in requests.items()]
