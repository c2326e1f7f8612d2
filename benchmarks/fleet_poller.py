"""A barrier that stays closed, at the tool's default pace: a process of its own, until it is killed.

Run: python -m benchmarks.fleet_poller URL missing|referenced
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.fleet_client import SCENES, proxy
from benchmarks.large_mesh import cluster_name
from safeapply.adapters.addresses import Addresses
from safeapply.adapters.clock import SystemClock
from safeapply.rollout.inquiry import Inquiry, Pace
from safeapply.xds.expectations import ClusterActive
from safeapply.xds.names import ClusterName

MISSING = (ClusterActive(ClusterName(cluster_name(0, 99))),)


async def main(url: str, scene: str) -> None:
    """Ask until killed; say so before."""
    proxies = Addresses({"default/client": url})
    expectations = MISSING if scene == "missing" else SCENES[scene]
    inquiry = Inquiry(proxy("client"), expectations, proxies, SystemClock(), Pace())
    ended = asyncio.Event()
    inquiry.begin(lambda _: ended.set(), lambda _: ended.set())
    print("asking", flush=True)
    await ended.wait()
    raise AssertionError("the barrier opened")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
