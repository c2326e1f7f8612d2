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
from safeapply.sandbox.apiserver.defaults import allotted
from safeapply.sandbox.apiserver.endings import doomed, ending, stays
from safeapply.sandbox.apiserver.events import keep_twins
from safeapply.sandbox.apiserver.intake import id_of, kind_of, settled, take_in, take_in_applied, take_in_patched
from safeapply.sandbox.apiserver.kinds import CRD, NAMESPACE, SERVICE, Kind
from safeapply.sandbox.apiserver.ledger import Ledger
from safeapply.sandbox.apiserver.managedfields import Writer, apply_fields, update_fields
from safeapply.sandbox.apiserver.registry import Kinds
from safeapply.sandbox.apiserver.statuses import (
    already_exists,
    bad_request,
    broken,
    conflict,
    invalid,
    not_found,
    unversioned,
)
from safeapply.sandbox.apiserver.validation.faults import IMMUTABLE, invalid_value
from safeapply.sandbox.apiserver.versions import (
    born,
    check_patchable,
    check_preconditions,
    check_uid,
    check_version,
    only_status,
    status_kept,
    succeeded,
)
from safeapply.sandbox.watching import Listener, WatchType

__all__ = ["FIRST_NAMESPACES", "STATUS", "Store"]

FIRST_NAMESPACES: Final = ("default", "kube-system", "istio-system")
STATUS: Final = "status"
_NOBODY: Final = "the provided object specified uid {}, and no existing object was found"
DEFAULT_MANAGER: Final = "sandbox"


class Store:
    """All objects of one cluster."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, alone: bool = False) -> None:
        """Start with a few namespaces.

        Args:
            clock: tells when something was written.
            alone: whether there is an API server alone, without the controllers of a cluster, which empty
                namespaces and collect garbage, and without Istio's webhook; else this plays them too.
        """
        self._alone = alone
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
        self,
        document: Document,
        *,
        manager: str = DEFAULT_MANAGER,
        dry_run: bool = False,
        strict: bool = False,
        created: str = "",
    ) -> Document:
        """Create an object (POST); ``created`` is when, if not now: no client can say that.

        Raises:
            StatusError: it exists, its namespace does not, or it is not let in.
        """
        kind, document = take_in(self.kinds, document, strict=strict)
        if document["metadata"].get("resourceVersion"):
            raise broken("resourceVersion should not be set on objects to be created")
        writer = _writer(manager, document)
        first = update_fields({}, status_kept({}, document), writer=writer, lists=kind.layout)
        return self._bear(kind, first, created or writer.now, dry_run=dry_run)

    def update(
        self,
        document: Document,
        *,
        manager: str = DEFAULT_MANAGER,
        subresource: str = "",
        dry_run: bool = False,
        strict: bool = False,
    ) -> Document:
        """Replace an object, or its status (PUT).

        Raises:
            StatusError: it does not exist, is at another resourceVersion, or is not let in.
        """
        kind, document = take_in(self.kinds, document, strict=strict)
        live = self._live(kind, id_of(kind, document))
        if kind.custom and not document["metadata"].get("resourceVersion"):
            raise unversioned(kind, document["metadata"]["name"])
        check_uid(kind, live, document)
        return self._change(kind, live, document, _writer(manager, document, subresource), dry_run=dry_run)

    def patch(
        self,
        resource_id: ResourceId,
        change: Callable[[Document], Document],
        *,
        manager: str = DEFAULT_MANAGER,
        subresource: str = "",
        dry_run: bool = False,
        strict: bool = False,
    ) -> Document:
        """Replace an object, or its status, by what a function makes of it (PATCH).

        Raises:
            StatusError: it does not exist, is at another resourceVersion than the result, or is not let in.
        """
        live = self._live(kind_of(self.kinds, resource_id.group_kind), resource_id)
        kind, document = take_in_patched(self.kinds, change(live), strict=strict)
        check_patchable(kind, live, document)
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
        if "managedFields" in document["metadata"]:
            raise bad_request("metadata.managedFields must be nil")
        kind, document = take_in_applied(self.kinds, document)
        metadata, writer = document["metadata"], _writer(manager, document, subresource)
        live = self.get(id_of(kind, document))
        base = live or {"metadata": {key: metadata[key] for key in ("name", "namespace") if key in metadata}}
        if live is not None:
            check_version(kind, live, metadata)
        elif subresource:
            raise not_found(kind, metadata["name"])
        asked = metadata.get("uid")
        if asked and kind.custom and live is None:
            raise conflict(kind, metadata["name"], f"uid mismatch: {_NOBODY.format(asked)}")
        if asked and asked != (live or {}).get("metadata", {}).get("uid"):
            raise invalid(kind, metadata["name"], [invalid_value("metadata.uid", asked, IMMUTABLE)])
        said = {STATUS: document.get(STATUS, {})} if subresource == STATUS else status_kept({}, document)
        merged = apply_fields(dict(base), said, writer=writer, lists=kind.layout, force=force)
        merged = settled(kind, {**merged, "apiVersion": document["apiVersion"], "kind": kind.name})
        if live is None:
            return self._bear(kind, merged, writer.now, dry_run=dry_run)
        check_patchable(kind, live, merged)
        return self._replace(kind, live, merged, dry_run=dry_run)

    def set_status(self, resource_id: ResourceId, status: Mapping[str, Any]) -> Document:
        """Replace the status of an object, as the controllers of a cluster do.

        Raises:
            StatusError: it does not exist.
        """
        return self.patch(resource_id, lambda live: {**live, STATUS: status}, subresource=STATUS)

    def delete(
        self,
        resource_id: ResourceId,
        *,
        preconditions: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        propagation: str = "",
        grace: int | None = None,
    ) -> Document:
        """Delete an object, and what a namespace or a definition holds; return it as it last was.

        With finalizers it stays, marked, until an update takes the last of them away; ``Foreground`` and
        ``Orphan`` are finalizers as well, for the garbage collector to take away. A Pod on a node stays for its
        seconds of ``grace``, for the node to delete it with none.

        Raises:
            StatusError: it does not exist, or a precondition (uid, resourceVersion) does not hold.
        """
        kind = kind_of(self.kinds, resource_id.group_kind)
        live = self._live(kind, resource_id)
        check_preconditions(kind, live, preconditions or {})
        grace, propagation = (grace, propagation) if self._alone else (0, "")
        following = doomed(kind, live, now=_now(), propagation=propagation, grace=grace)
        if resource_id.group_kind == NAMESPACE and self._alone:
            following = ending(live, _now())
        elif not stays(following):
            return following if dry_run else self._bury(resource_id, following)
        if dry_run or following == live:
            return following
        return self.ledger.commit(WatchType.MODIFIED, resource_id, following)

    def _change(self, kind: Kind, live: Document, document: Document, writer: Writer, *, dry_run: bool) -> Document:
        check_version(kind, live, document["metadata"])
        part = only_status if writer.subresource == STATUS else status_kept
        managed = update_fields(dict(live), part(live, document), writer=writer, lists=kind.layout)
        return self._replace(kind, live, managed, dry_run=dry_run)

    def _bear(self, kind: Kind, document: Document, now: str, *, dry_run: bool) -> Document:
        namespace = document["metadata"].get("namespace", "")
        if kind.namespaced:
            self._live(kind_of(self.kinds, NAMESPACE), ResourceId("", "Namespace", Namespace(""), namespace))
        resource_id = id_of(kind, document)
        first = self._admitted(kind, None, born(kind, document, uid=str(uuid.uuid4()), now=now))
        if (live := self.get(resource_id)) is not None:
            raise already_exists(kind, resource_id.name, ends="deletionTimestamp" in live["metadata"])
        return first if dry_run else self._commit(WatchType.ADDED, kind, first)

    def _replace(self, kind: Kind, live: Document, document: Document, *, dry_run: bool) -> Document:
        following = self._admitted(kind, live, succeeded(kind, live, document))
        if dry_run or following == live:
            return following
        if "deletionTimestamp" in following["metadata"] and not stays(following):
            self._bury(id_of(kind, following), live)
            return following
        return self._commit(WatchType.MODIFIED, kind, following)

    def _admitted(self, kind: Kind, live: Document | None, document: dict[str, Any]) -> dict[str, Any]:
        own = id_of(kind, document)
        whole = allotted(kind.group_kind, live, document, is_free=lambda ip: self._addresses.get(ip, own) == own)
        check_object(kind, live, whole, webhooks=not self._alone)
        return whole

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
