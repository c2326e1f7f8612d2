"""A Kubernetes Event on each object that a rollout writes: ``kubectl describe`` tells who changed it, in what step.

A note is a courtesy. It is written beside the rollout, is never waited for but for a moment in the end, and whoever
may not write it, or finds the API server busy, rolls out all the same.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from safeapply.errors import SafeApplyError
from safeapply.plans.plan import Operation, Phase, Plan
from safeapply.plans.rights import NOTE, namespace_of_note
from safeapply.ports import Clock, Cluster
from safeapply.resources.objects import Document, Resource, ResourceId
from safeapply.rollout.events import Event, PlanStarted, Replanned, Wrote

__all__ = ["Notes", "note_of"]

MOST: Final = 200
"""Of one rollout: a cluster keeps its Events for an hour, and all of them in one store."""
AT_ONCE: Final = 4
FAILURES: Final = 3
"""After so many it is left alone."""
LAST_SECONDS: Final = 2.0
"""How long the end of a rollout waits for notes that are under way."""
REASONS: Final = {Phase.WIDEN: "Widened", Phase.SWITCH: "Switched", Phase.NARROW: "Narrowed"}
LONGEST_NOTE: Final = 1024
LONGEST_INSTANCE: Final = 128
"""Bytes that the API server takes (kubernetes ``pkg/apis/core/validation/events.go``)."""


def note_of(wrote: Wrote, plan: Plan, *, by: str, at: datetime) -> Resource | None:
    """Return the Event about a write, or None where there is nothing to tell.

    It has names, and the plan's sentence of why; no value of any object.

    Args:
        wrote: the write.
        plan: the plan that it was part of.
        by: who rolls out.
        at: when, in UTC.
    """
    operation = _operation(wrote, plan)
    if operation is None or operation.manager or wrote.word == "unchanged":
        return None
    one, step = operation.resource.id, plan.steps[wrote.step - 1]
    told = f"{by}, step {wrote.step} of {len(plan.steps)}, {step.phase.value}: {step.why}"
    space, name = namespace_of_note(one), f"{one.name[:200]}.{int(at.timestamp() * 1e6):x}{wrote.step:x}"
    document: Document = {
        "apiVersion": "events.k8s.io/v1",
        "kind": NOTE.kind,
        "metadata": {"name": name, "namespace": space},
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": "Normal",
        "reason": REASONS[step.phase],
        "action": operation.action.value.capitalize(),
        "reportingController": "safeapply",
        "reportingInstance": _cut(by, LONGEST_INSTANCE),
        "regarding": _regarding(operation.resource, wrote),
        "note": _cut(told, LONGEST_NOTE),
    }
    return Resource(ResourceId(NOTE.group, NOTE.kind, space, name), document)


@dataclass(slots=True)
class Notes:
    """Listens to a rollout, and writes a note for every write."""

    cluster: Cluster
    clock: Clock
    by: str
    """Who rolls out."""
    _plan: Plan = field(default_factory=Plan)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _begun: int = 0
    _failures: int = 0

    def __call__(self, event: Event) -> None:
        """Take note of what happens."""
        match event:
            case PlanStarted(plan=plan) | Replanned(plan=plan):
                self._plan = plan
            case Wrote() if self._begun < MOST:
                note = note_of(event, self._plan, by=self.by, at=self.clock.wall())
                if note is not None:
                    self._begun += 1
                    self._tasks.add(asyncio.ensure_future(self._write(note)))
            case _:
                pass

    async def close(self) -> None:
        """Give what is under way a moment, and leave the rest."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _write(self, note: Resource) -> None:
        async with self._gate:
            if self._failures < FAILURES:
                try:
                    await self.cluster.create(note)
                except SafeApplyError:
                    self._failures += 1


def _operation(wrote: Wrote, plan: Plan) -> Operation | None:
    step = plan.steps[wrote.step - 1]
    return next((one for one in step.operations if one.resource.id == wrote.resource), None)


def _regarding(resource: Resource, wrote: Wrote) -> Document:
    told = {
        "apiVersion": resource.api_version,
        "kind": resource.id.kind,
        "namespace": resource.id.namespace,
        "name": resource.id.name,
        "uid": wrote.uid,
        "resourceVersion": wrote.resource_version,
    }
    return {key: value for key, value in told.items() if value}


def _cut(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")
