"""The tool's side of a fleet: a process of its own, so that its memory is its own.

Run: python -m benchmarks.fleet_client KUBECONFIG PROXIES; it prints what it measured as one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from benchmarks.large_mesh import cluster_name
from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.clock import SystemClock
from safeapply.adapters.connection import connected
from safeapply.adapters.envoy import PortForward
from safeapply.adapters.kube import KubeCluster
from safeapply.istio.proxies import Labels, Proxy, Role, Traits
from safeapply.ports import Answer, Proxies
from safeapply.resources.objects import Namespace
from safeapply.rollout.events import BarrierPassed, Event
from safeapply.rollout.poller import Poller
from safeapply.rollout.reading import Reader
from safeapply.xds.expectations import ClusterAbsent, ClusterActive, ClusterUnreferenced, Expectation
from safeapply.xds.names import ClusterName

__all__ = ["SCENES", "Counted", "proxy"]

PATIENCE = 120.0
ANSWER = 10.0
SCENES: Mapping[str, tuple[Expectation, ...]] = {
    "added": (ClusterActive(ClusterName(cluster_name(0, 1))),),
    "referenced": (ClusterUnreferenced(ClusterName(cluster_name(0, 2))),),
    "removed": (
        ClusterAbsent(ClusterName(cluster_name(0, 99))),
        ClusterUnreferenced(ClusterName(cluster_name(0, 99))),
    ),
}
"""What is waited for when a subset comes, while a route still names one, and when one has gone."""


@dataclass
class Counted:
    """Proxies, with the bytes of what they answered."""

    proxies: Proxies
    size: int = 0

    async def ask(self, one: Proxy, path: str, *, deadline: float) -> Answer:
        """Ask, and count."""
        answer = await self.proxies.ask(one, path, deadline=deadline)
        self.size += len(answer.body)
        return answer

    async def release(self, one: Proxy) -> None:
        """Pass it on."""
        await self.proxies.release(one)


def proxy(pod: str) -> Proxy:
    """Return a ready sidecar."""
    return Proxy(Namespace("default"), pod, pod, Role.SIDECAR, Labels(), ready=True)


async def main(kubeconfig: str, count: int) -> None:
    """Measure rounds of questions, then whole barriers."""
    found: dict[str, float] = {}
    async with connected(ClusterAccess(kubeconfig)) as connection:
        proxies = PortForward(connection)
        try:
            for name in ("added", "removed"):
                found[f"{name} round"] = await seconds(lambda name=name: one_round(proxies, count, SCENES[name]))
            for name in ("added", "removed"):
                cluster = KubeCluster(connection)
                found[f"{name} barrier"] = await seconds(
                    lambda name=name, cluster=cluster: barrier(cluster, proxies, count, SCENES[name])
                )
        finally:
            await proxies.close()
    found["rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


async def seconds(work: Callable[[], Awaitable[None]]) -> float:
    """Return how long some work takes."""
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun


async def one_round(proxies: Proxies, count: int, expectations: tuple[Expectation, ...]) -> None:
    """Ask every proxy once all that its expectations need; no connection is there before, none after."""

    async def ask(one: Proxy) -> None:
        await Reader(proxies, one, expectations, ANSWER).read()
        await proxies.release(one)

    await asyncio.gather(*(ask(proxy(f"proxy-{number}")) for number in range(count)))


async def barrier(
    cluster: KubeCluster, proxies: Proxies, count: int, expectations: tuple[Expectation, ...]
) -> None:
    """Open a barrier that holds: find the pods, ask each, list them once more to be sure."""
    events = list[Event]()
    poller = Poller(cluster, proxies, SystemClock(), events.append, Traits())
    await poller.wait(1, expectations, patience=PATIENCE)
    assert [one.proxies for one in events if isinstance(one, BarrierPassed)] == [count]


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
