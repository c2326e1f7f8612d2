"""Steady requests through every Envoy, in three phases: before a change, while it is made, and after.

The parent's half: it says what to send and where, and turns the counts into a verdict. The clients themselves
are the process of ``load``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from safeapply.sandbox.children import Child
from safeapply.sandbox.tally import Failure, Phase, Sightings, Tally, tally

__all__ = ["Target", "Traffic"]

REQUEST_PATIENCE = 10.0
"""Longer than any delay that a test mesh injects; a client that waits longer than this has gone away."""

ROUNDS = 2
"""How often each probe is sent before and after the change, to know whether it is served at rest."""


@dataclass(frozen=True, slots=True)
class Target:
    """One request on one proxy: what to send, and to which listener."""

    proxy: str
    request: str
    """The request as a human writes it; the same on every proxy."""
    socket: Path
    payload: bytes
    http: bool = True


class Traffic:
    """Clients that never stop asking until they are told to."""

    def __init__(self, child: Child, targets: Sequence[Target]) -> None:
        self._child = child
        self._targets = tuple(targets)

    @classmethod
    async def start(
        cls, targets: Sequence[Target], *, rate: float, seed: int = 0, patience: float = REQUEST_PATIENCE
    ) -> Self:
        """Start the process of the clients, silent so far."""
        child = await Child.start("safeapply.sandbox.load")
        probes = [
            {"socket": str(target.socket), "http": target.http, "payload": target.payload.decode("latin-1")}
            for target in targets
        ]
        await child.ask({"do": "start", "probes": probes, "rate": rate, "seed": seed, "patience": patience})
        return cls(child, targets)

    @property
    def pid(self) -> int:
        """The process of the clients."""
        return self._child.pid

    async def at_rest(self, phase: str) -> None:
        """Enter a phase and return when each probe has been answered a few times in it."""
        await self._child.ask({"do": "enter", "phase": phase})
        await self._child.ask({"do": "rounds", "times": ROUNDS})

    async def before(self) -> None:
        """Find out what the mesh serves at rest, then go on sending: from here on failures count."""
        await self.at_rest("warm-up")
        await self.at_rest("before")
        await self._child.ask({"do": "enter", "phase": "during"})

    async def after(self) -> Tally:
        """Find out what the mesh serves now, stop, and return the verdict."""
        await self.at_rest("after")
        seen = await self._child.ask({"do": "finish"})
        return tally(_sightings(seen), [(target.proxy, target.request) for target in self._targets])

    async def stop(self) -> None:
        """End the clients."""
        await self._child.stop()

    async def __aenter__(self) -> Self:
        """Return the silent clients."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them."""
        await self.stop()


def _sightings(seen: Mapping[str, Any]) -> Sightings:
    began = float(seen["started"].get("during", time.monotonic()))
    return Sightings(
        before=_phase(seen, "before"),
        during=_phase(seen, "during"),
        after=_phase(seen, "after"),
        failures=[
            Failure(probe, sent - began, outcome)
            for phase, probe, sent, outcome in seen["failures"]
            if phase == "during"
        ],
    )


def _phase(seen: Mapping[str, Any], name: str) -> Phase:
    return {int(probe): ends for probe, ends in seen["ends"].get(name, {}).items()}
