"""What the user may, held against what a command takes, before anything is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from safeapply.adapters.kube import KubeCluster
from safeapply.adapters.multicluster import Connections
from safeapply.adapters.permissions import Plural, lacking
from safeapply.commands.planning import Planned
from safeapply.errors import ForbiddenError
from safeapply.istio.kinds import POD
from safeapply.istio.proxies import proxy_of_pod
from safeapply.plans.plan import Action
from safeapply.plans.rights import Right, Way, attending, deleting, executing, reading, waiting
from safeapply.resources.objects import Namespace, Resource

__all__ = ["Rights"]


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of whoever is connected."""

    connections: Connections
    plural: Plural
    """How the first cluster calls the collection of a kind."""
    way: Way
    root_namespace: Namespace
    lock_namespace: Namespace | None = None

    @asynccontextmanager
    async def all_named(self) -> AsyncIterator[None]:
        """Where one right turns out to be missing, name all that are.

        Raises:
            ForbiddenError: with every right that is missing.
        """
        try:
            yield
        except ForbiddenError as error:
            rights = (*reading(self.way, self.root_namespace), *self._executing())
            others = await lacking(self.connections.home, rights, self.plural)
            raise ForbiddenError(tuple(dict.fromkeys((*error.missing, *others))), error.user) from error

    async def check(self, made: Planned, records: Iterable[Right] = ()) -> None:
        """Ask for what planning has not shown to be allowed: to read the Envoys, to delete, to hold the Lease.

        Args:
            made: what shall be carried out.
            records: what it takes to keep a record of it.

        Raises:
            ForbiddenError: with every right that is missing.
        """
        operations = (operation for step in made.plan.steps for operation in step.operations)
        doomed = [one.resource.id for one in operations if one.action is Action.DELETE]
        deletes = (one for one in deleting(doomed, named=True) if "delete" in one.verbs)
        pods = [one for one in made.live.values() if one.id.group_kind == POD]
        await self._check((*self._executing(), *records, *deletes), pods)

    async def check_waiting(self, pods: Iterable[Resource]) -> None:
        """Ask for what it takes to wait for Envoys.

        Raises:
            ForbiddenError: with every right that is missing.
        """
        await self._check(waiting(self.way, self.root_namespace), pods)

    def _executing(self) -> tuple[Right, ...]:
        return executing(self.way, self.root_namespace, self.lock_namespace)

    async def _check(self, rights: Iterable[Right], pods: Iterable[Resource]) -> None:
        """Hold the rights against the first cluster, and what it takes to read Envoys against the others."""
        spaces: dict[str, set[Namespace]] = defaultdict(set)
        for one in map(proxy_of_pod, pods):
            if one is not None:
                spaces[one.cluster].add(one.namespace)
        needed = {"": tuple(rights), **dict.fromkeys(self.connections.remotes, attending(self.way))}
        for name, connection in self.connections.by_name.items():
            plural = KubeCluster(connection).plural if name else self.plural
            missing = await lacking(connection, needed[name], plural, namespaces=sorted(spaces[name]))
            if missing:
                raise ForbiddenError(missing, f"the user of context {name}" if name else "")
