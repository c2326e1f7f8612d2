"""The lines that kubectl's users look for: ``virtualservice.networking.istio.io/reviews configured``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from safeapply.resources.objects import ResourceId
from safeapply.visible import visible

__all__ = ["DRY_RUN_CLIENT", "DRY_RUN_SERVER", "name_lines", "result_line", "summary_line"]

DRY_RUN_CLIENT = "dry run"
DRY_RUN_SERVER = "server dry run"


def result_line(resource: ResourceId, word: str, *, dry_run: str = "") -> str:
    """Return the line that kubectl would print for one object.

    Args:
        resource: the object; kubectl leaves its namespace out.
        word: ``created``, ``configured``, ``unchanged``, ``serverside-applied``, ``deleted``.
        dry_run: ``server dry run`` or ``dry run``, where nothing was written.
    """
    suffix = f" ({dry_run})" if dry_run else ""
    return visible(f"{resource.group_kind}/{resource.name} {word}{suffix}")


def name_lines(resources: Iterable[ResourceId]) -> tuple[str, ...]:
    """Return ``destinationrule.networking.istio.io/reviews`` for each object, as ``-o name`` of kubectl does."""
    return tuple(visible(f"{one.group_kind}/{one.name}") for one in resources)


def summary_line(words: Iterable[str]) -> str:
    """Return ``2 created, 1 configured, 3 unchanged``; nothing done is ``nothing to do``."""
    counts = Counter(words)
    return ", ".join(f"{number} {word}" for word, number in counts.items()) or "nothing to do"
