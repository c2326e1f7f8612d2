"""The state of a mesh as its operator sees it."""

from __future__ import annotations

import asyncio
import json

from safeapply.resources.objects import Namespace, ResourceId
from safeapply.sandbox.delays import NO_DELAYS
from safeapply.sandbox.mesh import Mesh
from tests.mesh.command import Result, command, scene


async def said_in(mesh: Mesh, word: str) -> Result:
    """Return the first status that holds a word."""
    async with asyncio.timeout(30):
        while word not in (result := await command(mesh, "status")).out:
            continue
        return result


async def test_status_tells_who_runs_and_what_istiod_says_of_each() -> None:
    """Every Envoy has a line; one that istiod does not serve is named as such, and a refusal in Envoy's words."""
    async with Mesh(scene(delays=NO_DELAYS)) as mesh:
        first, second, *_ = mesh.proxies
        mesh.control_plane.drop(first)
        mesh.control_plane.corrupt(second, "RDS")
        lost = ResourceId("networking.istio.io", "VirtualService", Namespace("default"), "reviews")
        mesh.store.delete(lost)
        result = await said_in(mesh, "rejected")
        lines = {line.split()[0]: line for line in result.out.splitlines()}
        assert lines.keys() == {"NAME", *mesh.proxies}
        assert lines[first].endswith("-                      not connected")
        assert "RDS rejected" in lines[second]
        assert f"{second} rejected RDS: " in result.err
        assert "sidecar  ready" in lines[mesh.proxies[3]]


async def test_a_status_without_istiod_says_so_and_goes_on() -> None:
    """The proxies are listed all the same."""
    async with Mesh(scene(delays=NO_DELAYS)) as mesh:
        result = await command(mesh, "status", "-i", "elsewhere", "-o", "json")
        assert result.code == 0
        assert len(json.loads(result.out)["proxies"]) == len(mesh.proxies)
        assert "no pod labelled app=istiod runs in elsewhere" in result.err
