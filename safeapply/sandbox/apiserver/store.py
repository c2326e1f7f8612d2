"""The state of the API server and the verbs that change it. No sockets, no waiting.

Documents go in as clients send them and come out as the server makes them: identity, versions, ownership and
defaults filled in. They are values; nobody may change one in place, this module included.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from safeapply.resources.objects import Document, GroupKind, Namespace, ResourceId
from safeapply.sandbox.apiserver.admission import check_object
from safeapply.sandbox.apiserver.defaults import with_defaults
from safeapply.sandbox.apiserver.events import keep_twins
from safeapply.sandbox.apiserver.intake import id_of, kind_of, take_in
from safeapply.sandbox.apiserver.kinds import CRD, NAMESPACE, SERVICE, Kind
from safeapply.sandbox.apiserver.ledger import Ledger
from safeapply.sandbox.apiserver.managedfields import Writer, apply_fields, update_fields
from safeapply.sandbox.apiserver.registry import Kinds
from safeapply.sandbox.apiserver.statuses import already_exists, bad_request, conflict, invalid, not_found
from safeapply.sandbox.apiserver.versions import (
    born,
    check_preconditions,
    only_status,
    status_kept,
    succeeded,
)
from safeapply.sandbox.watching import Listener, WatchType

__all__ = ["FIRST_NAMESPACES", "STATUS", "Store"]

FIRST_NAMESPACES: Final = ("default", "kube-system", "istio-system")
STATUS: Final = "status"
DEFAULT_MANAGER: Final = "sandbox"


class Store:
    """All objects of one cluster."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.kinds = Kinds()
        self.ledger = Ledger(clock)
        keep_twins(self.ledger)
        self._addresses: dict[str, ResourceId] = {}
        for name in FIRST_NAMESPACES:
            self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    @property
    def resource_version(self) -> int:
        """The version of the last write."""
        return self.ledger.resource_version

    def listen(self, listener: Listener) -> None:
        """Call the listener after each committed write, in order."""
        self.ledger.listen(listener)

    def list(self, kind: GroupKind, namespace: Namespace | None = None) -> tuple[Document, ...]:
        """Return all objects of a kind, by namespace and name."""
        return self.ledger.list(kind, namespace)

    def get(self, resource_id: ResourceId) -> Document | None:
        """Return one object, or None where there is none."""
        return self.ledger.get(resource_id)

    def create(
        self, document: Document, *, manager: str = DEFAULT_MANAGER, dry_run: bool = False, created: str = ""
    ) -> Document:
        """Create an object (POST); ``created`` is when, if not now: no client can say that.

        Raises:
            StatusError: it exists, its namespace does not, or it is not let in.
        """
        kind, document = take_in(self.kinds, document)
        resource_id = id_of(kind, document)
        if document["metadata"].get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        if self.get(resource_id) is not None:
            raise already_exists(kind, resource_id.name)
        writer = _writer(manager, document)
        first = update_fields({}, status_kept({}, document), writer=writer, lists=kind.lists)
        return self._bear(kind, first, created or writer.now, dry_run=dry_run)

    def update(
        self, document: Document, *, manager: str = DEFAULT_MANAGER, subresource: str = "", dry_run: bool = False
    ) -> Document:
        """Replace an object, or its status (PUT).

        Raises:
            StatusError: it does not exist, is at another resourceVersion, or is not let in.
        """
        kind, document = take_in(self.kinds, document)
        live = self._live(kind, id_of(kind, document))
        if kind.custom and not document["metadata"].get("resourceVersion"):
            fault = "Invalid value: 0x0: must be specified for an update"
            raise invalid(kind, document["metadata"]["name"], [("metadata.resourceVersion", fault)])
        return self._change(kind, live, document, _writer(manager, document, subresource), dry_run=dry_run)

    def patch(
        self,
        resource_id: ResourceId,
        change: Callable[[Document], Document],
        *,
        manager: str = DEFAULT_MANAGER,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Document:
        """Replace an object, or its status, by what a function makes of it (PATCH).

        Raises:
            StatusError: it does not exist, is at another resourceVersion than the result, or is not let in.
        """
        live = self._live(kind_of(self.kinds, resource_id.group_kind), resource_id)
        kind, document = take_in(self.kinds, change(live))
        if id_of(kind, document) != resource_id:
            raise bad_request("the patch changes the kind, the namespace or the name of the object")
        return self._change(kind, live, document, _writer(manager, document, subresource), dry_run=dry_run)

    def apply(
        self,
        document: Document,
        *,
        manager: str,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Document:
        """Apply an object (server-side apply); create it where there is none.

        Raises:
            StatusError: another manager owns a field and ``force`` is not used, the object is not at the
                resourceVersion or uid that the document gives, or it is not let in.
        """
        kind, document = take_in(self.kinds, document)
        metadata, writer = document["metadata"], _writer(manager, document, subresource)
        if "managedFields" in metadata:
            raise bad_request("metadata.managedFields must be nil")
        live = self.get(id_of(kind, document))
        base = live or {"metadata": {key: metadata[key] for key in ("name", "namespace") if key in metadata}}
        if live is not None:
            check_preconditions(kind, live, metadata)
        elif metadata.get("resourceVersion") or metadata.get("uid"):
            raise conflict(kind, metadata["name"])
        elif subresource:
            raise not_found(kind, metadata["name"])
        said = {STATUS: document.get(STATUS, {})} if subresource == STATUS else status_kept({}, document)
        merged = apply_fields(dict(base), said, writer=writer, lists=kind.lists, force=force)
        if live is None:
            return self._bear(kind, merged, writer.now, dry_run=dry_run)
        return self._replace(kind, live, merged, dry_run=dry_run)

    def set_status(self, resource_id: ResourceId, status: Mapping[str, Any]) -> Document:
        """Replace the status of an object, as the controllers of a cluster do.

        Raises:
            StatusError: it does not exist.
        """
        return self.patch(resource_id, lambda live: {**live, STATUS: status}, subresource=STATUS)

    def delete(
        self, resource_id: ResourceId, *, preconditions: Mapping[str, Any] | None = None, dry_run: bool = False
    ) -> Document:
        """Delete an object, and what a namespace or a definition holds; return it as it last was.

        With finalizers it stays, marked, until an update takes the last of them away.

        Raises:
            StatusError: it does not exist, or a precondition (uid, resourceVersion) does not hold.
        """
        kind = kind_of(self.kinds, resource_id.group_kind)
        live = self._live(kind, resource_id)
        check_preconditions(kind, live, preconditions or {}, deletes=True)
        if dry_run or (live["metadata"].get("finalizers") and "deletionTimestamp" in live["metadata"]):
            return live
        if not live["metadata"].get("finalizers"):
            return self._bury(resource_id, live)
        marked = {**live["metadata"], "deletionTimestamp": _now()}
        return self.ledger.commit(WatchType.MODIFIED, resource_id, {**live, "metadata": marked})

    def _change(self, kind: Kind, live: Document, document: Document, writer: Writer, *, dry_run: bool) -> Document:
        check_preconditions(kind, live, document["metadata"])
        part = only_status if writer.subresource == STATUS else status_kept
        managed = update_fields(dict(live), part(live, document), writer=writer, lists=kind.lists)
        return self._replace(kind, live, managed, dry_run=dry_run)

    def _bear(self, kind: Kind, document: Document, now: str, *, dry_run: bool) -> Document:
        namespace = document["metadata"].get("namespace", "")
        if kind.namespaced:
            self._live(kind_of(self.kinds, NAMESPACE), ResourceId("", "Namespace", Namespace(""), namespace))
        first = self._admitted(kind, born(kind, document, uid=str(uuid.uuid4()), now=now))
        return first if dry_run else self._commit(WatchType.ADDED, kind, first)

    def _replace(self, kind: Kind, live: Document, document: Document, *, dry_run: bool) -> Document:
        following = self._admitted(kind, succeeded(kind, live, document))
        if dry_run or following == live:
            return following
        metadata = following["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            return self._bury(id_of(kind, following), following)
        return self._commit(WatchType.MODIFIED, kind, following)

    def _admitted(self, kind: Kind, document: dict[str, Any]) -> dict[str, Any]:
        check_object(kind, document)
        own = id_of(kind, document)
        return with_defaults(kind.group_kind, document, is_free=lambda ip: self._addresses.get(ip, own) == own)

    def _commit(self, how: WatchType, kind: Kind, document: Document) -> Document:
        resource_id = id_of(kind, document)
        if kind.group_kind == SERVICE:
            self._addresses[str(document["spec"].get("clusterIP"))] = resource_id
        elif kind.group_kind == CRD:
            self.kinds.define(document)
        return self.ledger.commit(how, resource_id, document)

    def _bury(self, resource_id: ResourceId, document: Document) -> Document:
        for held in tuple(self._held(resource_id, document)):
            if (live := self.ledger.get(held)) is not None:
                self._bury(held, live)
        if resource_id.group_kind == SERVICE:
            self._addresses.pop(str(document["spec"].get("clusterIP")), None)
        return self.ledger.commit(WatchType.DELETED, resource_id, document)

    def _held(self, resource_id: ResourceId, document: Document) -> Iterator[ResourceId]:
        """Yield what goes with an object: all that is in a namespace, all that are of a defined kind."""
        if resource_id.group_kind == NAMESPACE:
            for kind in self.kinds:
                if kind.namespaced:
                    found = self.list(kind.group_kind, Namespace(resource_id.name))
                    yield from (id_of(kind, one) for one in found)
        elif resource_id.group_kind == CRD and (defined := self.kinds.withdraw(document)) is not None:
            yield from (id_of(defined, one) for one in self.list(defined.group_kind))

    def _live(self, kind: Kind, resource_id: ResourceId) -> Document:
        live = self.get(resource_id)
        if live is None:
            raise not_found(kind, resource_id.name)
        return live


def _writer(manager: str, document: Document, subresource: str = "") -> Writer:
    return Writer(manager, document["apiVersion"], _now(), subresource)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
