"""When a Deployment has had time enough to make progress (``spec.progressDeadlineSeconds``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from safeapply.resources.objects import Document

__all__ = ["Deadlines"]

DEFAULT: Final = 600.0
"""Seconds; what Kubernetes takes where a Deployment says nothing."""


@dataclass(slots=True)
class Deadlines:
    """Since when each generation of each workload is known."""

    due: Callable[[], None]
    """Called when a deadline is over."""
    _begun: dict[tuple[str, int], float] = field(default_factory=dict)

    def is_over(self, workload: Document) -> bool:
        """Tell whether a workload, as it is now, has had its time."""
        metadata, clock = workload["metadata"], asyncio.get_running_loop()
        generation = (str(metadata["uid"]), int(metadata.get("generation", 1)))
        seconds = float((workload.get("spec") or {}).get("progressDeadlineSeconds") or DEFAULT)
        if generation not in self._begun:
            self._begun[generation] = clock.time()
            clock.call_later(seconds, self.due)
        return clock.time() - self._begun[generation] >= seconds
