"""Who sees an object: ``exportTo`` (ISTIO.md 3.1, 4.7, 5 no. 16)."""

from __future__ import annotations

from safeapply.resources.objects import Namespace

__all__ = ["PRIVATE", "exported_to", "is_private"]

PRIVATE = frozenset({"."})


def exported_to(export_to: frozenset[str] | None, *, owner: Namespace, viewer: Namespace) -> bool:
    """Tell whether an object of ``owner`` is visible in ``viewer``; no exportTo means everywhere."""
    if export_to is None or "*" in export_to:
        return True
    return viewer in export_to or ("." in export_to and viewer == owner)


def is_private(export_to: frozenset[str] | None, owner: Namespace) -> bool:
    """Tell whether an object is visible in its own namespace only."""
    return export_to is not None and export_to <= {".", owner}
