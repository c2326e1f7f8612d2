"""The way of the mesh itself into the API server's store: live objects, and what the kubelet writes.

Live objects arrive as if somebody had once run ``kubectl apply`` on them, because that is whose fields the next
tool finds; what a server had filled in when they were dumped is filled in anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from safeapply.errors import SandboxError
from safeapply.resources.objects import Document, GroupKind, Namespace, ResourceId
from safeapply.sandbox.apiserver import StatusError, Store
from safeapply.sandbox.apiserver.store import FIRST_NAMESPACES
from safeapply.sandbox.names import injected
from safeapply.sandbox.synthesis import namespace_of

__all__ = ["StoredObjects"]

SANDBOX = "sandbox"
KUBECTL = "kubectl-client-side-apply"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
FIRST_KINDS = ("CustomResourceDefinition", "Namespace")
FILLED_IN = frozenset(
    {"creationTimestamp", "generation", "managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid"}
)


class StoredObjects:
    """What the kubelet needs of an API server, and how a mesh is filled."""

    def __init__(self, store: Store, *, cluster: str = "", sidecars: bool = False) -> None:
        """Write to a store.

        Args:
            store: where to.
            cluster: the cluster that it is of; empty for the first.
            sidecars: whether pods are injected with a sidecar that they do not bring.
        """
        self._store = store
        self._cluster = cluster
        self._sidecars = sidecars

    def fill(self, live: Iterable[Document], added: Iterable[Document]) -> None:
        """Create the live objects as old as they say, since age is semantics (ISTIO.md 4.10), and then the others.

        Raises:
            SandboxError: the API server does not take one of them.
        """
        applied = sorted(live, key=lambda one: (_rank(one), _created(one)))
        spaces = [one for one in added if one["kind"] in FIRST_KINDS]
        for document in (*spaces, *(one for one in applied if not _is_given(one))):
            self.create(_as_applied(document), manager=KUBECTL, created=_created(document))
        for document in added:
            if document not in spaces:
                self.create(document)

    def list(self, kind: GroupKind, namespace: Namespace | None = None) -> Sequence[Document]:
        """Return all objects of a kind."""
        return self._store.list(kind, namespace)

    def get(self, resource_id: ResourceId) -> Document | None:
        """Return one object."""
        return self._store.get(resource_id)

    def create(self, document: Document, *, manager: str = SANDBOX, created: str = "") -> None:
        """Create an object, now or as of then.

        Raises:
            SandboxError: the API server does not take it.
        """
        try:
            pod = injected(document, self._cluster, sidecars=self._sidecars)
            self._store.create(pod, manager=manager, created=created)
        except StatusError as error:
            raise _refused(document, error) from error

    def set_status(self, resource_id: ResourceId, status: Mapping[str, Any]) -> None:
        """Replace an object's status.

        Raises:
            SandboxError: it is gone.
        """
        try:
            self._store.set_status(resource_id, status)
        except StatusError as error:
            raise SandboxError(f"{resource_id}: {error}") from error

    def remove(self, resource_id: ResourceId) -> None:
        """Delete an object.

        Raises:
            SandboxError: it is gone.
        """
        try:
            self._store.delete(resource_id)
        except StatusError as error:
            raise SandboxError(f"{resource_id}: {error}") from error


def _as_applied(document: Document) -> Document:
    """Return a manifest as ``kubectl apply`` sends it, with the annotation by which it remembers."""
    metadata = {key: value for key, value in document["metadata"].items() if key not in FILLED_IN}
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    if namespace := namespace_of(document):
        metadata["namespace"] = namespace
    manifest = {key: value for key, value in document.items() if key != "status"}
    manifest["metadata"] = metadata | ({"annotations": annotations} if annotations else {})
    remembered = json.dumps(manifest, separators=(",", ":"), default=str)
    return manifest | {"metadata": metadata | {"annotations": {**annotations, LAST_APPLIED: remembered}}}


def _is_given(document: Document) -> bool:
    """Tell whether every cluster has this object from the start."""
    return document["kind"] == "Namespace" and document["metadata"]["name"] in FIRST_NAMESPACES


def _created(document: Document) -> str:
    return str(document["metadata"].get("creationTimestamp") or "")


def _rank(document: Document) -> int:
    kind = document["kind"]
    return FIRST_KINDS.index(kind) if kind in FIRST_KINDS else len(FIRST_KINDS)


def _refused(document: Document, error: StatusError) -> SandboxError:
    return SandboxError(
        f"the live objects cannot be set up: {document['kind']} {document['metadata']['name']}: {error}"
    )
