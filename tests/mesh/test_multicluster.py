"""One mesh on two clusters: the first holds the configuration, and the proxies of both have to show it.

Proxies and pods have the same names in both, as those of a StatefulSet have.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

import safeapply.aio
from safeapply.resources.objects import GroupKind
from safeapply.rollout.events import BarrierPassed
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.pods import istiod_pod
from safeapply.sandbox.run import run_under_load
from safeapply.sandbox.traffic import Traffic
from safeapply.sandbox.watching import WatchEvent
from tests.mesh.command import EXAMPLE, command, ended, scene, started

RULE = GroupKind("networking.istio.io", "DestinationRule")
HOME = ("--context", "safeapply-sandbox")
BOTH = (*HOME, "--context", "east")
FILES = ("-f", str(EXAMPLE / "desired"))
APPLY = ("apply", *FILES, "--yes", "--soak", "200ms")
SAMPLE, ALL = 1, 5


def two(*, seed: int = 1, proxies: int = 2) -> Scene:
    """Return the example's mesh on two clusters."""
    return replace(scene(seed=seed, proxies=proxies), remotes=("east",))


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.long] if seed > SAMPLE else []) for seed in range(1, ALL + 1)]
)
async def test_a_rename_loses_no_request_of_either_cluster(seed: int) -> None:
    """Clients of both use the subset that is renamed, under load; every barrier reads all proxies."""
    words = (sys.executable, "-m", "safeapply", *APPLY, *BOTH)
    report = await run_under_load(words, scene=two(seed=seed, proxies=3), rate=300.0)
    assert (report.exit_code, report.tally.failed, report.tally.lost) == (0, 0, {}), report.to_document()
    assert {one.partition("/")[0] for one in report.proxies if "/" in one} == {"east"}
    assert report.tally.requests > 50


async def test_a_cluster_that_is_silent_from_the_start_stops_everything() -> None:
    """Exit 3, the cluster named, nothing written, whether it is planned, applied or waited for."""
    async with Mesh(two()) as mesh:
        await mesh.members["east"].api.stop()
        before = mesh.store.resource_version
        asked = (("plan", *FILES), APPLY, ("wait", "--for=subset=reviews.default/v1"))
        for said in await asyncio.gather(*(command(mesh, *words, *BOTH) for words in asked)):
            assert said.code == 3
            assert "cluster east of the mesh cannot be read" in said.err
        assert (mesh.store.resource_version, subsets(mesh)) == (before, ["v1"])
        assert (await command(mesh, "plan", *FILES, *HOME)).code == 0


async def test_a_cluster_that_falls_silent_on_the_way_keeps_all_removals_back() -> None:
    """Its proxies serve on by what they have; whether they still use v1, nobody can tell, so v1 stays."""
    async with Mesh(two()) as mesh:
        widened = written(mesh, lambda: subsets(mesh) == ["stable", "v1"])
        running = await started(mesh, *APPLY, "--barrier-timeout", "2s", *BOTH)
        await asyncio.wait_for(widened.wait(), 30)
        await mesh.members["east"].api.stop()
        said = await ended(running)
        assert said.code == 3
        assert "cluster east of the mesh" in said.err
        assert subsets(mesh) == ["stable", "v1"]
        await mesh.members["east"].api.start(int(mesh.members["east"].api.url.rpartition(":")[2]))
        again = await command(mesh, *APPLY, *BOTH)
        assert (again.code, subsets(mesh)) == (0, ["stable"]), again.err


async def test_a_proxy_of_a_remote_is_waited_for_and_named_with_its_cluster() -> None:
    """One that has lost istiod keeps the removal back, though its namesake is ready; it can be excluded."""
    async with Mesh(two()) as mesh:
        mesh.control_plane.drop("east/client-1.default")
        said = await command(mesh, *APPLY, "--barrier-timeout", "3s", *BOTH)
        assert said.code == 3
        assert "east/client-1.default" in said.err
        assert " client-1.default" not in said.err
        assert "v1" in subsets(mesh)
        without = await command(mesh, *APPLY, *BOTH, "--exclude", "east/default/client-1", "-o", "json")
        assert (without.code, subsets(mesh)) == (0, ["stable"]), without.err


async def test_the_proxies_of_both_are_shown_with_what_istiod_says() -> None:
    """``status`` tells namesakes apart, as istiod does by its names of clusters."""
    async with Mesh(two()) as mesh:
        mesh.control_plane.drop("east/client-1.default")
        said = await command(mesh, "status", *BOTH, "-o", "json")
        shown = {(one.get("cluster"), one["name"]): one["connected"] for one in json.loads(said.out)["proxies"]}
        assert shown == {
            (None, "client-1"): True,
            (None, "client-2"): True,
            ("east", "client-1"): False,
            ("east", "client-2"): True,
        }


async def test_a_script_names_its_clusters_as_a_list() -> None:
    """The library takes them as ``--context`` does; a word alone is one context."""
    contexts = ["safeapply-sandbox", "east"]
    async with Mesh(two(proxies=1)) as mesh:
        kubeconfig = str(mesh.kubeconfig)
        await safeapply.aio.wait("subset=reviews.default/v1", kubeconfig=kubeconfig, context=contexts, timeout=20.0)
        done = await safeapply.aio.apply(
            str(EXAMPLE / "desired"), kubeconfig=kubeconfig, context=contexts, soak=0.0
        )
        assert {one.proxies for one in done.events if isinstance(one, BarrierPassed)} == {2}
        plan = await safeapply.aio.plan(str(EXAMPLE / "live"), kubeconfig=kubeconfig, context="east", checked=False)
        assert [one.action for step in plan.steps for one in step.operations]


async def test_two_primaries_take_a_run_each() -> None:
    """Each istiod reads its own cluster: two runs under load, each of which leaves the other cluster as it is."""
    other = (*BOTH[2:], *HOME)
    async with (
        Mesh(replace(scene(proxies=2), primaries=("east",))) as mesh,
        await Traffic.start(mesh.targets(), rate=300.0) as traffic,
    ):
        await traffic.before()
        first = await command(mesh, *APPLY, *BOTH, "--exclude", "east/*/*")
        assert (first.code, subsets(mesh), subsets(mesh, "east")) == (0, ["stable"], ["v1"]), first.err
        second = await command(mesh, *APPLY, *other, "--exclude", "safeapply-sandbox/*/*")
        assert (second.code, subsets(mesh, "east")) == (0, ["stable"]), second.err
        await mesh.settled(within=30)
        tally = await traffic.after()
    assert (tally.failed, tally.lost) == (0, {})


async def test_a_second_primary_whose_proxies_count_is_refused() -> None:
    """An istiod reads its own cluster alone: what is written to the first would never reach the other's proxies."""
    async with Mesh(two(proxies=1)) as mesh:
        mesh.members["east"].objects.create(istiod_pod(0))
        before = mesh.store.resource_version
        for words in (APPLY, ("wait", "--for=subset=reviews.default/v1")):
            said = await command(mesh, *words, *BOTH, "--exclude", "east/default/*")
            assert said.code == 2
            assert "--context east: istiod runs there too (east/istiod-0.istio-system)" in said.err
        assert mesh.store.resource_version == before


def written(mesh: Mesh, fact: Callable[[], bool]) -> asyncio.Event:
    """Return an event that is set when a write has made something so."""
    so = asyncio.Event()

    def listen(_: WatchEvent) -> None:
        if fact():
            so.set()

    mesh.store.listen(listen)
    return so


def subsets(mesh: Mesh, cluster: str = "") -> list[str]:
    """Return the subsets of reviews, as they are live in a cluster."""
    rules = [one for one in mesh.members[cluster].store.list(RULE) if one["metadata"]["name"] == "reviews"]
    return sorted(subset["name"] for subset in rules[0]["spec"]["subsets"])
