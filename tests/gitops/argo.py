"""Stands in for Argo CD's sync: phases, waves, hooks, and what its own controller applies in between.

As ``gitops-engine`` does it (``pkg/sync/sync_context.go``, ``pkg/utils/kube/resource_ops.go``): a hook that is to
be deleted before its creation is freed of its finalizer, deleted and waited for; a phase begins when the one before
is over; manifests are applied one by one by kubectl's code, on the client's side or, with force, on the server's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from safeapply.resources.objects import Document, GroupKind, Namespace, ResourceId
from safeapply.sandbox.mesh import Mesh
from safeapply.sandbox.watching import WatchEvent, WatchType
from tests.gitops.jobs import CONTROLLER

HOOK, POLICY, WAVE = (f"argocd.argoproj.io/{name}" for name in ("hook", "hook-delete-policy", "sync-wave"))
TRACKING = "argocd.argoproj.io/tracking-id"
INSTANCE = "app.kubernetes.io/instance"
"""Argo CD marks its own by both, with the tracking method annotation+label."""
ROUTING = tuple(GroupKind("networking.istio.io", kind) for kind in ("DestinationRule", "VirtualService"))
FINALIZER = "argocd.argoproj.io/hook-finalizer"
MANAGER = "argocd-controller"
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Write:
    """What happened to an object, and in which phase."""

    phase: str
    id: ResourceId
    spec_changed: bool
    tracked: bool


@dataclass
class Hooks:
    """Runs hooks one by one, each after what an earlier run has left of it is gone."""

    mesh: Mesh
    deleted: list[str] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        """Look at every write from now on."""
        self.mesh.store.listen(lambda _: self._changed.set())

    async def run(self, hooks: Iterable[Document]) -> bool:
        """Run hooks in their order, until one fails; tell whether none did."""
        for hook in hooks:
            if not await self._run(hook):
                return False
        return True

    async def _run(self, hook: Document) -> bool:
        one = _id(hook)
        await self._delete(one)
        metadata = {**hook["metadata"], "namespace": one.namespace, "finalizers": [FINALIZER]}
        more = {"spec": {**hook["spec"], "managedBy": CONTROLLER}} if one.kind == "Job" else {}
        self.mesh.store.create({**hook, "metadata": metadata, **more}, manager=MANAGER)
        return one.kind != "Job" or await self._over(one)

    async def _delete(self, one: ResourceId) -> None:
        """Delete what an earlier sync has left, and wait until it is gone."""
        live = self.mesh.store.get(one)
        if live is None:
            return
        self.deleted.append(one.name)
        metadata = {key: value for key, value in live["metadata"].items() if key != "finalizers"}
        self.mesh.store.update({**live, "metadata": metadata}, manager=MANAGER)
        self.mesh.store.delete(one)
        await self._until(lambda: self.mesh.store.get(one) is None)

    async def _over(self, job: ResourceId) -> bool:
        """Wait for a Job's end, and tell whether it was a good one."""

        def conditions() -> list[Any]:
            live = self.mesh.store.get(job) or {}
            return list((live.get("status") or {}).get("conditions") or ())

        await self._until(lambda: bool(conditions()))
        return any(one["type"] == "Complete" for one in conditions())

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


@dataclass
class Argo:
    """One Application."""

    mesh: Mesh
    kubeconfig: Path
    server_side: bool
    hooks: Hooks
    phase: str = ""
    writes: list[Write] = field(default_factory=list)
    _known: dict[ResourceId, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Look at every write from now on."""
        self.hooks.start()
        self.mesh.store.listen(self._observe)

    def _observe(self, event: WatchEvent) -> None:
        if event.id.group == "networking.istio.io":
            spec, tracked = event.document["spec"], TRACKING in _annotations(event.document)
            changed = event.type is WatchType.DELETED or self._known.get(event.id) != spec
            self.writes.append(Write(self.phase, event.id, changed, tracked))
            self._known[event.id] = spec

    async def sync(self, documents: Sequence[Document]) -> bool:
        """Sync a revision, and tell whether it went well: a hook that fails ends it."""
        hooks = [one for one in documents if HOOK in _annotations(one)]
        assert all(_annotations(one)[POLICY] == "BeforeHookCreation" for one in hooks)
        for phase in ("PreSync", "Sync", "PostSync"):
            self.phase = phase
            if phase == "Sync":
                for one in documents:
                    if one not in hooks:
                        await self._apply(one)
                self._prune({_id(one) for one in documents})
            turn = sorted((one for one in hooks if _annotations(one)[HOOK] == phase), key=_wave)
            if not await self.hooks.run(turn):
                return False
        self.phase = ""
        return True

    def _prune(self, kept: Collection[ResourceId]) -> None:
        """Delete what is its own and not in the revision any more, all at once."""
        for kind in ROUTING:
            for live in self.mesh.store.list(kind):
                if TRACKING in _annotations(live) and _id(live) not in kept:
                    self.mesh.store.delete(_id(live))

    async def _apply(self, document: Document) -> None:
        one = _id(document)
        tracked = {**_annotations(document), TRACKING: f"reviews:{one.group}/{one.kind}:{one.namespace}/{one.name}"}
        labels = {**(document["metadata"].get("labels") or {}), INSTANCE: "reviews"}
        metadata = {**document["metadata"], "namespace": one.namespace, "annotations": tracked, "labels": labels}
        how = ("--server-side", "--force-conflicts") if self.server_side else ()
        process = await asyncio.create_subprocess_exec(
            *(
                "kubectl",
                "--kubeconfig",
                str(self.kubeconfig),
                "--cache-dir",
                str(self.kubeconfig.parent / "cache"),
            ),
            *("apply", "--validate=false", f"--field-manager={MANAGER}", *how, "-f", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await process.communicate(yaml.safe_dump({**document, "metadata": metadata}).encode())
        assert process.returncode == 0, err.decode()


def _annotations(document: Document) -> dict[str, str]:
    return dict(document["metadata"].get("annotations") or {})


def _wave(document: Document) -> int:
    return int(_annotations(document).get(WAVE, "0"))


def _id(document: Document) -> ResourceId:
    group, _, _ = str(document["apiVersion"]).rpartition("/")
    space = Namespace(document["metadata"].get("namespace", "default"))
    return ResourceId(group, document["kind"], space, document["metadata"]["name"])
