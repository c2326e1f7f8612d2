"""Look at the cluster before planning: what is live, what the server would make of the files, who runs.

Every desired object passes a server-side dry-run here, so a rejected manifest is an error before the first
write, and defaults and other field managers are in the plan (DESIGN 4.1). What decides where requests go is listed,
in all namespaces; of all other kinds only the objects that the files name are read, one by one, so that nobody
needs the right to list Secrets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from safeapply.istio.kinds import POD
from safeapply.istio.mesh_settings import NAMESPACE, MeshSettings, namespaces, settings_of
from safeapply.istio.proxies import Proxy, proxy_of_pod
from safeapply.istio.replicas import configs_of
from safeapply.plans.changes import Change, changes_between
from safeapply.plans.estimates import estimated
from safeapply.plans.rights import LISTED_KINDS
from safeapply.ports import Cluster
from safeapply.resources.objects import Namespace, Resource, ResourceId

__all__ = ["Survey", "settings", "survey"]

DRY_RUNS_AT_ONCE = 8
READS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Survey:
    """What planning needs to know of a cluster."""

    live: Mapping[ResourceId, Resource]
    changes: tuple[Change, ...]
    unchanged: tuple[ResourceId, ...]
    proxies: tuple[Proxy, ...]


def _kept(_: Resource) -> bool:
    return False


async def survey(
    cluster: Cluster,
    manifests: Sequence[Resource],
    *,
    doomed: Callable[[Resource], bool] = _kept,
    named: Iterable[ResourceId] = (),
    known: Iterable[Resource] = (),
    dry_run: bool = True,
) -> Survey:
    """Read the mesh, and let the server dry-run every manifest.

    Args:
        cluster: where to look.
        manifests: what shall be.
        doomed: tells which live objects shall go.
        named: more objects to read, if they are there.
        known: live objects that have been read already.
        dry_run: let the server say what it would make of the manifests; else that is estimated, and nothing but
            reading is asked of it.

    Raises:
        RejectedError: the server would refuse a manifest; nothing has been written.
        ClusterUnreachableError: there is no server.
    """
    own = dict.fromkeys((*(one.id for one in manifests), *named))
    listed, read = await asyncio.gather(
        cluster.list(LISTED_KINDS), _read(cluster, [one for one in own if one.group_kind not in LISTED_KINDS])
    )
    live = {one.id: one for one in (*known, *listed, *read)}
    desired = await _dry_runs(cluster, manifests, live) if dry_run else estimated(manifests, live)
    deleted = [one for one, resource in live.items() if doomed(resource)]
    changes, unchanged = changes_between(live, manifests, desired, deleted)
    proxies = (proxy_of_pod(one) for one in live.values() if one.id.group_kind == POD)
    return Survey(live, changes, unchanged, tuple(proxy for proxy in proxies if proxy is not None))


async def settings(
    cluster: Cluster, objects: Iterable[Resource], root: Namespace, *, coming: Iterable[Resource] = ()
) -> MeshSettings:
    """Return what the MeshConfig says of the replicas of istiod that run.

    Args:
        cluster: where it stands.
        objects: among them the pods of istiod: each revision has a MeshConfig of its own.
        root: where istiod runs.
        coming: what shall be: perhaps namespaces that are not there yet.

    Raises:
        MeshConfigError: it cannot be read, or those of two revisions differ.
        ClusterError: the server does not hand it out.
    """
    found = {one.id: one for one in await _read(cluster, configs_of(objects, root))}
    mesh = settings_of(found, root)
    if not mesh.discovery:
        return mesh
    live = await cluster.list((NAMESPACE,))
    return settings_of({**namespaces(coming), **namespaces(live), **found}, root)


async def _read(cluster: Cluster, wanted: Iterable[ResourceId]) -> tuple[Resource, ...]:
    gate = asyncio.Semaphore(READS_AT_ONCE)

    async def read(one: ResourceId) -> Resource | None:
        async with gate:
            return await cluster.get(one)

    found = await asyncio.gather(*map(read, wanted))
    return tuple(one for one in found if one is not None)


async def _dry_runs(
    cluster: Cluster, manifests: Iterable[Resource], live: Mapping[ResourceId, Resource]
) -> Mapping[ResourceId, Resource]:
    """Return what the server would make of each manifest, except where its namespace does not exist yet."""
    listed = list(manifests)
    coming = {one.id.name for one in listed if one.id.group_kind == NAMESPACE and one.id not in live}
    gate = asyncio.Semaphore(DRY_RUNS_AT_ONCE)

    async def dry_run(one: Resource) -> Resource:
        async with gate:
            return await cluster.apply(one, dry_run=True)

    asked = [one for one in listed if one.id.namespace not in coming]
    answers = await asyncio.gather(*(dry_run(one) for one in asked))
    return {one.id: answer for one, answer in zip(asked, answers, strict=True)}
