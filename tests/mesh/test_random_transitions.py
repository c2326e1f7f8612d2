"""Random transitions on real Envoys under load: no request is lost, and ``view`` says what the Envoys hold.

The worlds are the oracle's, with Sidecars besides; one mesh serves for many of them, and the delays are drawn anew
for each. What both ends serve has to be served in between: every host, and every match that tells requests apart.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from random import Random

import aiohttp
import pytest
import yaml

from safeapply.istio.proxies import proxy_of_pod
from safeapply.resources.objects import Document, GroupKind, Namespace, Resource, ResourceId
from safeapply.sandbox.delays import NO_DELAYS, Delays, Span
from safeapply.sandbox.envoys import Envoy
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.probes import probes_of
from safeapply.sandbox.stored import StoredObjects
from safeapply.sandbox.tally import Tally
from safeapply.sandbox.targets import addresses_of, targets_of
from safeapply.sandbox.traffic import Target, Traffic
from tests.mesh.command import Result, command
from tests.mesh.counts import COUNTS
from tests.mesh.stories import LABELS, Story, stories
from tests.oracle.disagreements import is_known
from tests.oracle.documents import resources
from tests.oracle.model import DestinationRule, Service, VirtualService, world_of
from tests.oracle.readings import Reading, by_view, reading
from tests.oracle.scoped import sidecar
from tests.oracle.verdicts import Verdict, judge
from tests.oracle.worlds import CLIENTS, HOSTS, SUBSETS

SETTLE_SECONDS = 30.0
RATE = 300.0
KINDS = tuple(GroupKind("networking.istio.io", kind) for kind in ("VirtualService", "DestinationRule", "Sidecar"))
SERVICE, POD = GroupKind("", "Service"), GroupKind("", "Pod")
LOSING = {Verdict.NOT_FOUND, Verdict.NO_CLUSTER, Verdict.UNPROVEN, Verdict.DANGLING, Verdict.UNSAFE}
REFUSED = 4


def scene() -> Scene:
    """Return a mesh of all hosts and subsets, and in each namespace two clients that a label tells apart."""
    rules = tuple(DestinationRule(host, CLIENTS[0], host, frozenset(SUBSETS), 1) for host in HOSTS)
    shown = world_of(*map(Service, HOSTS), *rules)
    scopes = (sidecar(number, space, "*/*", chosen=True) for number, space in enumerate(CLIENTS))
    spaces = (VirtualService(f"in-{space}", space, HOSTS[:1], (), 1) for space in CLIENTS)
    drawn = (*resources(shown).values(), *resources(world_of(*spaces)).values(), *scopes)
    documents = [_selecting(one.document) for one in drawn]
    services = [one for one in documents if one["kind"] == "Service"]
    return Scene(live=services, desired=[one for one in documents if one not in services], proxies=4)


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    """Hand over a mesh for all stories of a test."""
    async with Mesh(scene()) as running:
        yield running


async def test_a_sample_of_random_transitions(mesh: Mesh, tmp_path: Path) -> None:
    """Five of them; ``make test-long`` runs many more."""
    told = [*stories(3, first=1, scoped=False), *stories(2, first=2, scoped=True)]
    for number, story in enumerate(told):
        await Rollout(mesh, story, number, tmp_path / str(number)).check()


@pytest.mark.long
@pytest.mark.parametrize("first", range(10, 20))
@pytest.mark.parametrize("scoped", [False, True], ids=["plain", "scoped"])
async def test_many_random_transitions(mesh: Mesh, tmp_path: Path, first: int, scoped: bool) -> None:  # noqa: FBT001
    """Five for each seed, half of the seeds with Sidecars."""
    for number, story in enumerate(stories(5, first=first, scoped=scoped)):
        await Rollout(mesh, story, 100 * first + number, tmp_path / str(number)).check()


class Rollout:
    """One story on the mesh."""

    def __init__(self, mesh: Mesh, story: Story, seed: int, directory: Path) -> None:
        self._mesh, self._story, self._seed, self._directory = mesh, story, seed, directory

    async def check(self) -> None:
        """Live it under load, and compare what is at rest before and after with the evaluator."""
        verdict = judge(self._story.transition)
        if verdict in LOSING:
            assert is_known(self._story.transition, verdict), self._told()
            COUNTS["left out: the plan is known to lose requests"] += 1
            return
        await self._set_up()
        await self._compare("live")
        result, tally = await self._apply()
        assert not tally.failed, f"{tally}\n{self._told()}"
        COUNTS["requests that both ends serve"] += tally.requests
        if result.code == REFUSED:
            COUNTS["refused"] += 1
            expected = {Verdict.REFUSED, Verdict.OVER_REFUSED}
            assert self._story.scoped or verdict in expected, f"{result.err}\n{self._told()}"
        else:
            assert result.code == 0, f"{result.err}\n{self._told()}"
            assert verdict is not Verdict.REFUSED, self._told()
            COUNTS["applied"] += 1
            await self._compare("desired")

    async def _set_up(self) -> None:
        """Put the live objects in place, at once; then let delays be drawn."""
        mesh = self._mesh
        mesh.control_plane.set_delays(NO_DELAYS)
        for document in self._objects((SERVICE, *KINDS)):
            mesh.store.delete(_id(document))
        StoredObjects(mesh.store).fill(self._story.live, ())
        await mesh.settled(within=SETTLE_SECONDS)
        spans = Random(self._seed)
        lag, push = Span(0.0, spans.uniform(0.05, 0.4)), Span(0.0, spans.uniform(0.05, 0.6))
        mesh.control_plane.set_delays(Delays(lag=lag, push=push), seed=self._seed)

    async def _apply(self) -> tuple[Result, Tally]:
        self._directory.mkdir(parents=True)
        (self._directory / "desired.yaml").write_text(yaml.safe_dump_all(self._story.desired))
        labels = ",".join(f"{key}={value}" for key, value in LABELS.items())
        arguments = ("-f", str(self._directory), "--yes", "--prune", "-l", labels)
        patience = ("--soak", "200ms", "--barrier-timeout", "20s")
        async with await Traffic.start(self._targets(), rate=RATE, seed=self._seed) as traffic:
            await traffic.before()
            result = await command(self._mesh, "apply", *arguments, *patience)
            await self._mesh.settled(within=SETTLE_SECONDS)
            return result, await traffic.after()

    def _targets(self) -> tuple[Target, ...]:
        mesh, both = self._mesh, (*self._story.live, *self._story.desired)
        services = [one for one in both if one["kind"] == "Service"]
        return targets_of(
            probes_of(both), pods=mesh.store.list(POD), addresses=addresses_of(services, ()), run=mesh.run
        )

    async def _compare(self, when: str) -> None:
        """Compare the evaluator's answer for the stored objects with what each Envoy holds."""
        objects = [Resource(_id(one), one) for one in self._objects((SERVICE, *KINDS, POD))]
        for envoy in self._mesh.envoys.running:
            pod = next(one for one in objects if one.id.kind == "Pod" and _proxy(one) == envoy.proxy)
            proxy = proxy_of_pod(pod)
            assert proxy is not None
            known = by_view(objects, proxy.class_by(dict(proxy.labels.pairs)))
            unlike = known.unlike(await held(envoy))
            assert not unlike, f"{when}, view (here) and {envoy.proxy} (there): {unlike}\n{self._told()}"
            COUNTS["Envoys compared with view"] += 1

    def _objects(self, kinds: Iterable[GroupKind]) -> list[Document]:
        return [one for kind in kinds for one in self._mesh.store.list(kind)]

    def _told(self) -> str:
        parts = (f"seed {self._seed}, live:", _yaml(self._story.live), "desired:", _yaml(self._story.desired))
        return "\n".join(parts)


async def held(envoy: Envoy) -> Reading:
    """Return what an Envoy really has: its active clusters and its routes."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(envoy.admin))) as session,
        session.get("http://admin/config_dump") as answer,
    ):
        sections = {one["@type"].rpartition(".")[2]: one for one in json.loads(await answer.read())["configs"]}
    clusters = sections["ClustersConfigDump"].get("dynamic_active_clusters", ())
    routes = sections.get("RoutesConfigDump", {}).get("dynamic_route_configs", ())
    return reading((one["cluster"]["name"] for one in clusters), (one["route_config"] for one in routes))


def _selecting(document: Document) -> Document:
    if document["kind"] != "Service":
        return document
    return {**document, "spec": {**document["spec"], "selector": {"app": document["metadata"]["name"]}}}


def _proxy(pod: Resource) -> str:
    return f"{pod.id.name}.{pod.id.namespace}"


def _id(document: Document) -> ResourceId:
    group = str(document["apiVersion"]).rpartition("/")[0]
    metadata = document["metadata"]
    return ResourceId(group, document["kind"], Namespace(metadata.get("namespace", "")), metadata["name"])


def _yaml(documents: Iterable[Document]) -> str:
    return yaml.safe_dump_all([dict(one) for one in documents], default_flow_style=None, width=200)
