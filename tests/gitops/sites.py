"""A mesh whose API server knows who asks, in which a GitOps controller runs Jobs, and the load on it."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from safeapply.resources.objects import Document, Namespace, ResourceId
from safeapply.sandbox.apiserver import ADMIN
from safeapply.sandbox.mesh import Mesh
from safeapply.sandbox.tally import Tally
from safeapply.sandbox.traffic import Traffic
from tests.gitops.front import Front, front
from tests.gitops.jobs import Jobs
from tests.mesh.command import EXAMPLE, scene

EXAMPLES = EXAMPLE.parent
LIVE = EXAMPLE / "live" / "reviews.yaml"
RULE = ResourceId("networking.istio.io", "DestinationRule", Namespace("default"), "reviews")
ROUTE = ResourceId("networking.istio.io", "VirtualService", Namespace("default"), "reviews")
CONTROLLER = "controller"
"""The token of the GitOps controller, who may do everything."""


@dataclass
class Site:
    """A mesh of the first example, and what runs Jobs in it."""

    mesh: Mesh
    front: Front
    jobs: Jobs

    @property
    def subsets(self) -> list[str]:
        """The subsets of the rule, as they are live."""
        return [str(one["name"]) for one in self.live(RULE)["spec"]["subsets"]]

    def live(self, one: ResourceId) -> Document:
        """Return a live object."""
        found = self.mesh.store.get(one)
        assert found is not None
        return found

    async def under_load(self, action: Callable[[], Awaitable[bool]]) -> tuple[bool, Tally]:
        """Do something while requests flow; tell whether it went well, and what became of the requests."""
        async with await Traffic.start(self.mesh.targets(), rate=200.0, seed=1) as traffic:
            await traffic.before()
            well = await action()
            await self.mesh.settled(within=60)
            return well, await traffic.after()


@asynccontextmanager
async def site(rights: Iterable[Document]) -> AsyncIterator[Site]:
    """Start a mesh, and guard it: its Jobs have these rights and no others."""
    async with Mesh(scene()) as mesh, front(mesh.api.url) as before:
        for document in rights:
            mesh.store.create(document)
        jobs = Jobs(mesh, before, {CONTROLLER: ADMIN})
        jobs.start()
        yield Site(mesh, before, jobs)


def built(directory: Path) -> list[Document]:
    """Return what Kustomize makes of a directory."""
    said = subprocess.run(["kubectl", "kustomize", directory], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(said.stdout))
