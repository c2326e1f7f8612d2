"""Who sees an object: ``exportTo`` (ISTIO.md 3.1, 4.7, 5 no. 16)."""

from __future__ import annotations

from safeapply.resources.objects import Namespace

__all__ = ["exported_to", "publicity"]


def exported_to(export_to: frozenset[str] | None, *, owner: Namespace, viewer: Namespace) -> bool:
    """Tell whether an object of ``owner`` is visible in ``viewer``; no exportTo means everywhere."""
    if export_to is None or "*" in export_to:
        return True
    return viewer in export_to or ("." in export_to and viewer == owner)


def publicity(export_to: frozenset[str] | None, *, owner: Namespace, viewer: Namespace) -> int:
    """Return 0 for a route named to its own namespace and seen there, 1 for by name, 2 for public (ISTIO.md 4.2).

    It is the viewer's question: ``[".", "shop"]`` is private where it lives, and exported by name in ``shop``
    (istiod's ``initVirtualServices``).
    """
    if not export_to or "*" in export_to:
        return 2
    return 0 if not export_to.isdisjoint({".", owner}) and owner == viewer else 1
