"""The ``Cluster`` port on a real API server: discovery, lists, server-side apply, careful deletes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from safeapply.adapters.answers import Group, Listing, Resources, SubjectReview, checked, checked_as, read
from safeapply.adapters.applier import Applier
from safeapply.adapters.connection import Connection, Reply
from safeapply.adapters.paths import path_of, root_of
from safeapply.adapters.permissions import forbidden
from safeapply.adapters.refusals import conflicting_managers
from safeapply.adapters.watches import changes
from safeapply.errors import ClusterChangedError, ClusterError, ForbiddenError, RejectedError
from safeapply.plans.rights import kind_named, purpose_of
from safeapply.ports import Changed, Gone, Listed, Sighting
from safeapply.resources.objects import Document, GroupKind, Namespace, Resource, ResourceId
from safeapply.resources.secrets import without_values
from safeapply.visible import indented

__all__ = ["KubeCluster"]

PAGE = "500"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
NOT_FOUND, CONFLICT, GONE = 404, 409, 410
REVIEW = """
Please review the fields above; they have other managers. Take them over with --force-conflicts, leave them out of
the manifest, or give them the values that they have."""


@dataclass(frozen=True, slots=True)
class _Served:
    """A kind as the server serves it."""

    version: str
    """``group/version``."""
    plural: str
    namespaced: bool

    def collection(self, namespace: Namespace | None = None) -> str:
        """Return the path of the objects of a namespace, or of all."""
        inside = ("namespaces", namespace) if self.namespaced and namespace else ()
        return path_of(*root_of(self.version), *inside, self.plural)

    def one(self, namespace: Namespace, name: str) -> str:
        """Return the path of one object, never that of a collection: a delete there would take all of it.

        Raises:
            ClusterError: it has no name, or no namespace where it needs one.
        """
        inside = ("namespaces", namespace) if self.namespaced else ()
        return path_of(*root_of(self.version), *inside, self.plural, name)


@dataclass(slots=True)
class KubeCluster:
    """A Kubernetes API server."""

    connection: Connection
    force_conflicts: bool = False
    """Take fields over from other managers instead of refusing."""
    _versions: dict[str, asyncio.Task[Mapping[str, _Served]]] = field(default_factory=dict)
    """What each group version serves, by kind; asked for once."""
    _groups: dict[str, asyncio.Task[tuple[str, ...]]] = field(default_factory=dict)
    """The versions of each group, the preferred one first."""
    _applier: Applier = field(init=False)

    def __post_init__(self) -> None:
        self._applier = Applier(self.connection, self.force_conflicts)

    async def list(self, kinds: Collection[GroupKind]) -> tuple[Resource, ...]:
        """Return all objects of these kinds in all namespaces; kinds that the server lacks have none."""
        found = await asyncio.gather(*map(self._list, kinds))
        return tuple(resource for resources, _ in found for resource in resources)

    async def watch(self, kind: GroupKind) -> AsyncGenerator[Sighting, None]:
        """Tell what there is of a kind, and then every change, without end.

        Raises:
            ClusterError: it cannot be watched, or not any more; begin again.
        """
        served = await self._served(kind)
        if served is None:
            raise ClusterError(f"the server has no kind {kind}")
        while True:
            resources, version = await self._list(kind)
            yield Listed(resources)
            async with aclosing(changes(self.connection, served.collection(), version)) as events:
                async for event in events:
                    resource = _item(event["object"], kind, served)
                    yield Gone(resource) if event["type"] == "DELETED" else Changed(resource)

    async def get(self, resource_id: ResourceId) -> Resource | None:
        """Return one object, or None where it does not exist."""
        served = await self._served(resource_id.group_kind)
        if served is None:
            return None
        reply = await self.connection.request("GET", served.one(resource_id.namespace, resource_id.name))
        if reply.status == NOT_FOUND:
            return None
        return Resource(resource_id, checked_as(_done(reply, f"read {resource_id}").document, resource_id))

    async def username(self) -> str:
        """Return whom the server takes the user for (``SelfSubjectReview``, Kubernetes 1.28).

        Raises:
            ClusterError: it does not say.
        """
        body, doing = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}, "say who asks"
        reply = await self.connection.request("POST", WHO, body=body)
        if reply.status == NOT_FOUND:
            raise ClusterError(
                "the API server does not say who asks, as Kubernetes does since 1.28, and records go by user: "
                "give --no-record"
            )
        name = read(_done(reply, doing).document, SubjectReview, doing).status.user_info.username
        if not name:
            raise ClusterError("the API server takes the user of this kubeconfig for nobody; log in")
        return name

    async def select(
        self, kinds: Collection[GroupKind], namespaces: Collection[Namespace], selector: str
    ) -> tuple[Resource, ...]:
        """Return the objects of these kinds that a label selector finds, cluster-wide kinds without a namespace."""
        served = [(kind, await self._served(kind)) for kind in kinds]
        places = [
            (kind, space)
            for kind, one in served
            if one is not None
            for space in (namespaces if one.namespaced else (None,))
        ]
        found = await asyncio.gather(*(self._list(kind, space, selector) for kind, space in places))
        return tuple(resource for resources, _ in found for resource in resources)

    async def apply(self, resource: Resource, *, dry_run: bool = False, manager: str = "") -> Resource:
        """Write an object by server-side apply and return what the server made of it.

        Raises:
            RejectedError: validation, admission, a field conflict, or missing rights.
            ClusterChangedError: the object is not at the given resourceVersion any more.
        """
        path = await self._path(resource)
        if manager:
            return _written(
                resource, await self._applier.send(path, resource, force=True, dry_run=dry_run, by=manager)
            )
        apply = self._applier.rehearse if dry_run else self._applier.write
        return _written(resource, await apply(path, resource))

    async def create(self, resource: Resource) -> Resource:
        """Create an object.

        Raises:
            RejectedError: validation, admission, or missing rights.
            ClusterChangedError: there is one of this name by now.
        """
        reply = await self._applier.create(await self._path(resource, collection=True), resource)
        if reply.status == CONFLICT:
            raise ClusterChangedError(str(resource.id), reply.message)
        return _written(resource, reply)

    async def delete(self, resource: Resource, *, dry_run: bool = False) -> None:
        """Delete an object; the document's uid and resourceVersion are preconditions. Absent is fine.

        Raises:
            RejectedError: admission or missing rights.
            ClusterChangedError: it is another object, or another version, by now.
        """
        wanted = {"uid": resource.metadata.get("uid"), "resourceVersion": resource.resource_version}
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {key: value for key, value in wanted.items() if value},
        }
        query = {"dryRun": "All"} if dry_run else None
        reply = await self.connection.request("DELETE", await self._path(resource), query=query, body=body)
        if reply.status == CONFLICT:
            raise ClusterChangedError(str(resource.id), reply.message)
        if reply.status != NOT_FOUND and not reply.ok:
            raise _forbidden(reply) or RejectedError(str(resource.id), reply.message)

    async def _list(
        self, kind: GroupKind, namespace: Namespace | None = None, selector: str = ""
    ) -> tuple[tuple[Resource, ...], str]:
        """Return all objects of a kind, and the resourceVersion of the whole."""
        served = await self._served(kind)
        if served is None:
            return (), ""
        resources: tuple[Resource, ...] = ()
        chosen = {"labelSelector": selector} if selector else {}
        query = chosen | {"limit": PAGE}
        while True:
            doing = f"list {kind}"
            reply = await self.connection.request("GET", served.collection(namespace), query=query)
            if reply.status == GONE and "continue" in query:
                # The version of the first parts is forgotten: all anew, in one part (client-go tools/pager).
                resources, query = (), chosen
                continue
            part = read(_done(reply, doing).document, Listing, doing)
            resources += tuple(_item(item, kind, served, namespace) for item in part.items or ())
            if not part.metadata.following:
                return resources, part.metadata.resource_version
            query = chosen | {"limit": PAGE, "continue": part.metadata.following}

    async def plural(self, kind: GroupKind) -> str | None:
        """Return how the server calls the collection of a kind, or None where it has no such kind."""
        served = await self._served(kind)
        return None if served is None else served.plural

    async def _path(self, resource: Resource, *, collection: bool = False) -> str:
        """Return where an object is written, or created: under the version that its manifest speaks."""
        kinds = await self._serves(resource.api_version)
        if resource.id.kind not in kinds:
            raise RejectedError(
                str(resource.id),
                f"the server has no kind {resource.id.kind} in {resource.api_version}; is its CRD there?",
            )
        served = kinds[resource.id.kind]
        if collection:
            return served.collection(resource.id.namespace)
        return served.one(resource.id.namespace, resource.id.name)

    async def _served(self, kind: GroupKind) -> _Served | None:
        """Return how a kind is served, in the version that its group prefers."""
        for version in await self._group(kind.group):
            kinds = await self._serves(version)
            if kind.kind in kinds:
                return kinds[kind.kind]
        return None

    async def _group(self, group: str) -> tuple[str, ...]:
        if group not in self._groups:
            self._groups[group] = asyncio.create_task(self._discover_group(group))
        return await self._groups[group]

    async def _discover_group(self, group: str) -> tuple[str, ...]:
        if not group:
            return ("v1",)
        reply = await self.connection.request("GET", path_of("apis", group))
        if reply.status == NOT_FOUND:
            return ()
        doing = f"discover {group}"
        found = read(_done(reply, doing).document, Group, doing)
        preferred = [found.preferred_version] if found.preferred_version else []
        return tuple(dict.fromkeys(one.group_version for one in (*preferred, *found.versions)))

    async def _serves(self, version: str) -> Mapping[str, _Served]:
        if version not in self._versions:
            self._versions[version] = asyncio.create_task(self._discover(version))
        return await self._versions[version]

    async def _discover(self, version: str) -> Mapping[str, _Served]:
        reply = await self.connection.request("GET", path_of(*root_of(version)))
        if reply.status == NOT_FOUND:
            return {}
        doing = f"discover {version}"
        found = read(_done(reply, doing).document, Resources, doing).resources
        return {one.kind: _Served(version, one.name, one.namespaced) for one in found if "/" not in one.name}


def _written(resource: Resource, reply: Reply) -> Resource:
    conflicting = conflicting_managers(reply)
    if reply.ok:
        return Resource(resource.id, checked_as(reply.document, resource.id), resource.origin)
    if resource.resource_version and reply.status in {CONFLICT, NOT_FOUND} and not conflicting:
        raise ClusterChangedError(str(resource.id), reply.message)
    lacks = _forbidden(reply)
    if lacks is not None:
        raise lacks
    raise RejectedError(str(resource.id), without_values(reply.message, resource) + (REVIEW if conflicting else ""))


def _done(reply: Reply, doing: str) -> Reply:
    """Return a good reply.

    Raises:
        ClusterError: the server would not do it.
    """
    if reply.ok:
        return reply
    raise _forbidden(reply) or ClusterError(f"the API server failed to {doing}: {indented(reply.message)}")


def _forbidden(reply: Reply) -> ForbiddenError | None:
    """Return the right that is missing, if that is what is wrong, and what it is needed for."""

    def purpose(verb: str, group: str, resource: str, name: str) -> str:
        plural, _, below = resource.partition("/")
        return purpose_of(verb, GroupKind(group, kind_named(group, plural)), below, name)

    return forbidden(reply, purpose)


def _item(item: Document, kind: GroupKind, served: _Served, namespace: Namespace | None = None) -> Resource:
    """Return an object of a list, with the kind and version that lists leave out."""
    whole = {"apiVersion": served.version, "kind": kind.kind, **item}
    metadata: Mapping[str, Any] = checked(whole, kind)["metadata"]
    place = Namespace(metadata.get("namespace") or "")
    one = ResourceId(kind.group, kind.kind, place if namespace is None else namespace, metadata["name"])
    return Resource(one, checked_as(whole, one))
