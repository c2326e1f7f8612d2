"""The format of ``apply -o json``; ``docs/outcome.schema.json`` is generated from these classes.

Within format version 1 documents only gain fields. ``report.outcome`` fills them.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

FORMAT_VERSION: Final = "1"
SCHEMA_PAGE: Final = "https://safeapply.dev/schemas/outcome-v1.json"

Ended: TypeAlias = Literal["settled", "stopped", "unfinished", "unchanged", "refused"]


class Slow(msgspec.Struct, frozen=True):
    """A proxy that was waited for, and how long."""

    proxy: str
    seconds: float


class Lagging(msgspec.Struct, frozen=True):
    """A proxy that did not show what was waited for, or was not asked, and why."""

    proxy: str
    why: str


class Propagation(msgspec.Struct, frozen=True):
    """How long the proxies of one barrier took, in seconds."""

    p50: float
    p99: float


class Unknown(msgspec.Struct, frozen=True):
    """A replica of istiod of which it is not known what it has seen."""

    replica: str
    why: str


class Istiod(msgspec.Struct, frozen=True, rename="camel"):
    """Which replicas of istiod had seen every write."""

    seen_by: tuple[str, ...]
    not_checked: tuple[Unknown, ...]


class Written(msgspec.Struct, frozen=True, rename="camel"):
    """One write, as the API server acknowledged it."""

    action: Literal["apply", "delete"]
    resource: str
    result: str
    resource_version: str
    at: float
    """Seconds since the rollout began."""
    bridge: bool | UnsetType = UNSET
    """Whether it was an intermediate version, neither live nor desired."""


class Wait(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A wait for proxies."""

    waited_seconds: float
    proxies: int
    slowest: tuple[Slow, ...]
    propagation_seconds: Propagation | UnsetType = UNSET
    stragglers: tuple[Lagging, ...] | UnsetType = UNSET
    not_counted: tuple[Lagging, ...] | UnsetType = UNSET
    istiod: Istiod | UnsetType = UNSET


class StepOutcome(Wait, frozen=True, kw_only=True, rename="camel"):
    """A step: its wait, its soak, its writes."""

    phase: Literal["widen", "switch", "narrow"]
    state: Literal["pending", "waiting", "soaking", "writing", "done", "stopped"]
    soak_seconds: float
    writes: tuple[Written, ...]


class StoppedAt(msgspec.Struct, frozen=True):
    """Where a rollout ended early, in a safe state."""

    step: int
    """1-based; the wait after the last step counts as one more."""
    why: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a rollout came to; of one that was cut off, as far as it went."""

    format_version: Literal["1"] = FORMAT_VERSION
    outcome: Ended
    seconds: float
    seconds_since_first_write: float
    soak_seconds: float
    steps: tuple[StepOutcome, ...]
    settled: Wait | None
    """The wait after the last step."""
    unchanged: tuple[str, ...]
    refusals: tuple[str, ...] | UnsetType = UNSET
    """Why nothing was written, one sentence each."""
    left: tuple[Literal["widen", "switch", "narrow"], ...] | UnsetType = UNSET
    """What another run is to do, where only some phases were asked for."""
    stopped: StoppedAt | UnsetType = UNSET
    rollback: Outcome | UnsetType = UNSET
    """The way back, where ``--on-timeout=rollback`` had one begun."""


def outcome_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the document."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_PAGE,
        "title": f"What `safeapply apply -o json` prints (format version {FORMAT_VERSION})",
    }
    return head | msgspec.json.schema(Outcome)
