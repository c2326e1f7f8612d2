"""What a barrier costs a fleet: seconds, memory, bytes on the wire, and delay of the updates that it waits for."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.fleet_client import SCENES, Counted, proxy
from benchmarks.large_mesh import CLUSTERS, LargeMesh, cluster_name, large_mesh
from safeapply.adapters.addresses import Addresses
from safeapply.istio.proxies import Proxy
from safeapply.ports import Answer, Proxies
from safeapply.rollout.reading import Reader

__all__ = ["figures"]

UPDATES = 60
BLOCKS = 3
"""Updates are timed in blocks, without and with polling by turns, so that what drifts hits both."""
ANSWER = 10.0
URL = "default/client"


def figures() -> Iterator[Figure]:
    """Yield rounds over 1,000 and 5,000 stand-ins, bytes, and a real Envoy's updates with polling and without."""
    recorded, sizes = asyncio.run(_recorded())
    for name, size in sizes.items():
        yield Figure(f"bytes per proxy and round, {CLUSTERS} clusters: {name}", size, "B", "<= 4000")
    for count, target in ((1_000, "< 2"), (5_000, "it works")):
        found = _measured(count, recorded)
        for name, value in found.items():
            if name != "rss":
                yield Figure(f"{count} proxies, {name}", round(value, 2), "s", target)
        yield Figure(f"{count} proxies, peak RSS", round(found["rss"]), "MB", "< 300")
    yield from asyncio.run(_delays())


class _Recorder:
    """Proxies whose answers are kept."""

    def __init__(self, proxies: Proxies, answers: dict[str, tuple[int, str]]) -> None:
        self._proxies = proxies
        self._answers = answers

    async def ask(self, one: Proxy, path: str, *, deadline: float) -> Answer:
        answer = await self._proxies.ask(one, path, deadline=deadline)
        self._answers[path] = answer.status, answer.body.decode()
        return answer

    async def release(self, one: Proxy) -> None:
        await self._proxies.release(one)


async def _recorded() -> tuple[Mapping[str, tuple[int, str]], Mapping[str, float]]:
    """Return a real Envoy's answers by path, and how many bytes each kind of round reads, from the second on."""
    answers, sizes = dict[str, tuple[int, str]](), dict[str, float]()
    async with large_mesh() as mesh, _addressed(mesh) as proxies:
        for name, expectations in SCENES.items():
            counted = Counted(_Recorder(proxies, answers))
            reader = Reader(counted, proxy("client"), expectations, ANSWER)
            await reader.read()
            sizes[f"{name}, first"], counted.size = counted.size, 0
            await reader.read()
            sizes[f"{name}, then"] = counted.size
    return answers, sizes


@asynccontextmanager
async def _addressed(mesh: LargeMesh) -> AsyncIterator[Addresses]:
    proxies = Addresses({URL: f"unix://{mesh.admin}"})
    try:
        yield proxies
    finally:
        await proxies.close()


def _measured(count: int, recorded: Mapping[str, tuple[int, str]]) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory(prefix="sa-") as directory:
        server = _started("benchmarks.fleet_server", directory, str(count))
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(recorded).encode() + b"\n")
        server.stdin.flush()
        assert server.stdout.readline() == b"ready\n"
        client = _started("benchmarks.fleet_client", str(Path(directory, "kubeconfig")), str(count))
        out, _ = client.communicate()
        server.communicate()
        found: Mapping[str, float] = json.loads(out)
        return found


def _started(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-m", module, *arguments)
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


async def _delays() -> Iterator[Figure]:
    """Return how long updates take with a barrier waiting, at the default pace, and without one."""
    found: dict[str, list[float]] = {}
    async with large_mesh() as mesh:
        for block in range(BLOCKS):
            for scene in ("", "missing", "referenced"):
                poller = await _polling(mesh, scene) if scene else None
                names = (cluster_name(1, f"{scene}{block}-{number}") for number in range(UPDATES // BLOCKS))
                found.setdefault(scene, []).extend([await _one_update(mesh, name) for name in names])
                if poller is not None:
                    poller.kill()
                    await poller.wait()
    return _compared({name: statistics.median(times) for name, times in found.items()})


async def _one_update(mesh: LargeMesh, name: str) -> float:
    """Time an update that comes at no particular moment of the polling."""
    await asyncio.sleep(0.05)
    return await mesh.update_seconds(name)


async def _polling(mesh: LargeMesh, scene: str) -> asyncio.subprocess.Process:
    """Start a barrier that stays closed, in a process of its own."""
    command = (sys.executable, "-m", "benchmarks.fleet_poller", f"unix://{mesh.admin}", scene)
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    return process


def _compared(medians: Mapping[str, float]) -> Iterator[Figure]:
    still = medians.pop("") if isinstance(medians, dict) else 0.0
    yield Figure(f"xDS update, {CLUSTERS} clusters, nobody asks: p50", round(still * 1e3, 2), "ms", "")
    for name, value in medians.items():
        yield Figure(f"xDS update, barrier waits ({name}): p50 over that", round(value / still, 2), "ratio", "< 2")
