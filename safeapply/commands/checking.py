"""From manifests and clusters to findings: of files, of a cluster, or of files over either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.multicluster import all_connected
from safeapply.checks.check import Checked, check
from safeapply.checks.mutual_tls import Encounter, encounters
from safeapply.checks.scene import Sight, scene_of
from safeapply.commands.inputs import Files, manifests_of
from safeapply.istio.kinds import NEWEST, POD, ROUTING_KINDS, WORKLOAD_KINDS
from safeapply.istio.mesh_settings import settings_of
from safeapply.plans.references import KUBERNETES_GATEWAY
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.rollout.survey import settings

__all__ = ["CLUSTER", "Looked", "check_cluster", "check_files"]

CLUSTER = "cluster"
"""The word that stands for the cluster of the kubeconfig where a directory could stand."""

READ_KINDS = (*ROUTING_KINDS, *WORKLOAD_KINDS, POD, KUBERNETES_GATEWAY)
"""What is listed of a cluster, in all namespaces."""

Objects = Mapping[ResourceId, Resource]


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found, and where it was looked for."""

    checked: Checked
    objects: tuple[ResourceId, ...]
    """Those that the findings are about."""
    resources: Objects
    sight: Sight

    def encounters(self) -> tuple[Encounter, ...]:
        """Return what clients send and servers accept, port by port."""
        return tuple(encounters(scene_of(self.resources, self.sight)))


def check_files(files: Files, live: str | None, root: Namespace) -> Looked:
    """Check manifests alone, those of a directory, or the first as if they were applied over the second.

    Raises:
        ManifestsError: every fault of every file.
    """
    default = Namespace(files.namespace or "default")
    manifests = _by_id(files.read(default) if files.named or live is None else ())
    if live is None:
        return _looked(manifests, Sight(settings_of(manifests, root), offline=True))
    found = _by_id(manifests_of([live], recursive=files.recursive, namespace=None, default=default))
    sight = Sight(settings_of({**found, **manifests}, root), offline=True)
    return _over(found, manifests, sight) if files.named else _looked(found, sight)


async def check_cluster(files: Files, root: Namespace, access: ClusterAccess) -> Looked:
    """Check what a cluster holds, or manifests as if they were applied to it; nothing is written.

    Raises:
        ManifestsError: every fault of every file.
        ClusterError: the server cannot be reached.
    """
    async with all_connected(access) as connections:
        manifests = _by_id(files.read(Namespace(connections.home.namespace)) if files.named else ())
        cluster = connections.cluster()
        live = _by_id(await cluster.list(READ_KINDS))
        sight = Sight(await settings(cluster, live.values(), root, coming=manifests.values()))

    if manifests:
        return _over(live, manifests, sight)
    looked = _looked(live, sight)
    return looked if files.namespace is None else _within(looked, Namespace(files.namespace))


def _by_id(resources: tuple[Resource, ...]) -> Objects:
    return {one.id: one for one in resources}


def _looked(resources: Objects, sight: Sight) -> Looked:
    objects = tuple(one for one in resources if one.group_kind in ROUTING_KINDS)
    return Looked(check(resources, sight), objects, resources, sight)


def _over(live: Objects, manifests: Objects, sight: Sight) -> Looked:
    """Check the files over what is live: what is about them, and what they would break elsewhere."""
    ages = {one: live[one].created if one in live else NEWEST for one in manifests}
    patient = replace(sight, ages=ages, patient=True)
    known = {one.key for one in check(live, patient).findings}
    both = {**live, **manifests}
    checked = check(both, patient)
    theirs = tuple(one for one in checked.findings if one.object in manifests or one.key not in known)
    return Looked(replace(checked, findings=theirs), tuple(manifests), both, patient)


def _within(looked: Looked, namespace: Namespace) -> Looked:
    findings = tuple(one for one in looked.checked.findings if one.object.namespace == namespace)
    objects = tuple(one for one in looked.objects if one.namespace == namespace)
    return replace(looked, checked=replace(looked.checked, findings=findings), objects=objects)
