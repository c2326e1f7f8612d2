"""Server-side apply of one object, and what has to come before it where client-side apply wrote it (``ownership``).

The handover is a write of its own that changes nothing but who owns which field, so it comes first: an apply before
it would leave what the manifest dropped, and that is a state which no plan has been verified for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from safeapply.adapters.answers import checked_as
from safeapply.adapters.connection import Connection, Reply
from safeapply.adapters.ownership import annotated, edits, former, handed_over, is_client_side, without_dropped
from safeapply.adapters.refusals import conflicting_managers, without_managers
from safeapply.adapters.retries import patiently
from safeapply.errors import ClusterError
from safeapply.resources.managed import is_field_set
from safeapply.resources.objects import Document, Resource, ResourceId

__all__ = ["FIELD_MANAGER", "Applier"]

FIELD_MANAGER = "safeapply"


@dataclass(slots=True)
class Applier:
    """Applies objects, and remembers which of them take more than an apply."""

    connection: Connection
    force: bool
    """Take fields over from other managers instead of refusing."""
    _client_side: dict[ResourceId, bool] = field(default_factory=dict)
    _uids: dict[ResourceId, str] = field(default_factory=dict)
    """Who each object was when it was last seen."""

    async def rehearse(self, path: str, resource: Resource) -> Reply:
        """Let the server say what an apply would make of an object, and write nothing."""
        reply = await self.send(path, resource, force=self.force, dry_run=True)
        if conflicting_managers(reply):
            return await self._rehearse_handover(path, resource, reply)
        return await self._handed_over(path, reply, reply.document, resource)

    async def write(self, path: str, resource: Resource) -> Reply:
        """Apply an object."""
        live = await self._live(path, resource)
        if live is None:
            return await self.send(path, resource, force=self.force)
        version = str(live["metadata"].get("resourceVersion", ""))
        if resource.resource_version not in {"", version}:
            return _modified(resource, version)
        handover = await self._hand_over(path, resource, live)
        if handover is not None and not handover.ok:
            return handover
        latest = Resource(resource.id, handover.document).resource_version if handover else version
        reply = await self.send(path, _at(annotated(resource, live), latest), force=self.force)
        if reply.ok:
            self._note(resource.id, reply)
        return reply

    async def create(self, collection: str, resource: Resource) -> Reply:
        """Create an object, and fail where there is one: an apply would change what nobody has planned with."""
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        self._client_side[resource.id] = True

        async def attempt() -> Reply:
            return await self.connection.request("POST", collection, query=query, body=resource.document)

        return await patiently(
            attempt,
            says_nothing=lambda reply: _was_raced(reply) and reply.document.get("reason") != "AlreadyExists",
        )

    async def send(
        self, path: str, resource: Resource, *, force: bool, dry_run: bool = False, by: str = FIELD_MANAGER
    ) -> Reply:
        """Send one apply; where it names no version to start from, again if somebody else's write came between."""
        query = {"fieldManager": by, "fieldValidation": "Strict", "force": str(force).lower()}
        if dry_run:
            query["dryRun"] = "All"
        body = self._pinned(resource)

        async def attempt() -> Reply:
            return await self.connection.request(
                "PATCH", path, query=query, body=body, content_type="application/apply-patch+yaml"
            )

        reply = await patiently(
            attempt, says_nothing=lambda reply: _was_raced(reply) and not resource.resource_version
        )
        return _checked(_gone(resource) if _is_of_another(reply) else reply, resource)

    def _pinned(self, resource: Resource) -> Document:
        """Return what is sent of an object that has to be there: with a uid, for without one it would be created.

        The API server holds a resourceVersion against what there is, and where there is nothing, against nothing.
        """
        uid = self._uids.get(resource.id)
        if uid is None or not resource.resource_version:
            return resource.document
        return {**resource.document, "metadata": {**resource.metadata, "uid": uid}}

    async def _read(self, path: str, resource: Resource) -> Reply:
        return _checked(await self.connection.request("GET", path), resource)

    async def _live(self, path: str, resource: Resource) -> Document | None:
        """Return the object as it is, where that makes a difference to how it is written."""
        if self._client_side.get(resource.id) is False:
            return None
        reply = await self._read(path, resource)
        self._note(resource.id, reply)
        return reply.document if reply.ok and self._client_side[resource.id] else None

    async def _hand_over(self, path: str, resource: Resource, live: Document) -> Reply | None:
        managed = handed_over(live, FIELD_MANAGER, force=self.force)
        if managed is None:
            return None
        version = Resource(resource.id, live).resource_version
        patch = [
            {"op": "replace", "path": "/metadata/managedFields", "value": managed},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        ]
        return _checked(
            await self.connection.request("PATCH", path, body=patch, content_type="application/json-patch+json"),
            resource,
        )

    async def _rehearse_handover(self, path: str, resource: Resource, refusal: Reply) -> Reply:
        """Return what is left of a conflict after the handover: that with those who keep their fields."""
        live = await self._read(path, resource)
        if not live.ok:
            # That the object may not be read is what its user has to know, more than that there is a conflict.
            return live if live.status == HTTPStatus.FORBIDDEN else refusal
        yielding = {str(entry["manager"]) for entry in former(live.document, FIELD_MANAGER, force=self.force)}
        if conflicting_managers(refusal) - yielding:
            return without_managers(refusal, yielding)
        reply = await self.send(path, resource, force=True, dry_run=True)
        return await self._handed_over(path, reply, live.document, resource)

    async def _handed_over(self, path: str, reply: Reply, live: Document, resource: Resource) -> Reply:
        self._note(resource.id, Reply(reply.status, live))
        if not reply.ok:
            return reply
        wanted = without_dropped(reply.document, live, resource.document, FIELD_MANAGER, force=self.force)
        return reply if wanted == reply.document else await self._settled(path, reply, wanted, resource)

    async def _settled(self, path: str, reply: Reply, wanted: Document, resource: Resource) -> Reply:
        """Return what the server makes of an object without what is dropped: it fills its own defaults in again.

        The defaults of an object are owned by whoever created it, so a handover drops them as well.
        """
        settled = await self.connection.request(
            "PATCH",
            path,
            query={"fieldManager": FIELD_MANAGER, "dryRun": "All"},
            body=edits(reply.document, wanted),
            content_type="application/json-patch+json",
        )
        if not settled.ok:
            return settled
        return replace(reply, document=_checked(settled, resource).document)

    def _note(self, resource_id: ResourceId, reply: Reply) -> None:
        # What a trial creates (201) has a uid that nothing will ever have.
        if reply.status == HTTPStatus.OK and (uid := reply.document["metadata"].get("uid")):
            self._uids[resource_id] = str(uid)
        self._client_side[resource_id] = reply.ok and is_client_side(
            reply.document, FIELD_MANAGER, force=self.force
        )


def _checked(reply: Reply, resource: Resource) -> Reply:
    """Return a reply; a good one only with an object that can be read."""
    if reply.ok:
        metadata = checked_as(reply.document, resource.id)["metadata"]
        if not all(is_field_set(entry.get("fieldsV1") or {}) for entry in metadata.get("managedFields") or ()):
            raise ClusterError(f"the API server answered with managedFields of {resource.id} that cannot be read")
    return reply


def _was_raced(reply: Reply) -> bool:
    """Tell whether a conflict is with a write that came in between, and not with who owns which field."""
    return reply.status == HTTPStatus.CONFLICT and not conflicting_managers(reply)


def _is_of_another(reply: Reply) -> bool:
    """Tell whether a write was refused because there is no object of its uid; custom kinds say 409 to that."""
    if reply.status != HTTPStatus.UNPROCESSABLE_ENTITY:
        return False
    details = reply.document.get("details")
    causes = details.get("causes") if isinstance(details, Mapping) else ()
    return any(isinstance(one, Mapping) and one.get("field") == "metadata.uid" for one in causes or ())


def _gone(resource: Resource) -> Reply:
    message = f"it was deleted since it was planned at {resource.resource_version}"
    return Reply(HTTPStatus.CONFLICT, {"message": message})


def _modified(resource: Resource, version: str) -> Reply:
    message = f"it is at resourceVersion {version}, and was planned at {resource.resource_version}"
    return Reply(HTTPStatus.CONFLICT, {"message": message})


def _at(resource: Resource, version: str) -> Resource:
    metadata = {**resource.metadata, "resourceVersion": version}
    return Resource(resource.id, {**resource.document, "metadata": metadata}, resource.origin)
