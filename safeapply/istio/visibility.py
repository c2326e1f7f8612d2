"""Who sees an object: ``exportTo`` (ISTIO.md 3.1, 4.7, 5 no. 16)."""

from __future__ import annotations

from collections.abc import Collection

from safeapply.resources.objects import Document, Namespace

__all__ = ["export_to", "exported_to", "publicity"]


def export_to(spec: Document, unsaid: Collection[str] = ()) -> frozenset[str] | None:
    """Return what a spec says, or else what the mesh does (ISTIO.md 4.7); None where neither says anything."""
    values = spec.get("exportTo") or unsaid
    return frozenset(map(str, values)) if values else None


def exported_to(named: frozenset[str] | None, *, owner: Namespace, viewer: Namespace) -> bool:
    """Tell whether an object of ``owner`` is visible in ``viewer``; no exportTo means everywhere."""
    if named is None or "*" in named:
        return True
    return viewer in named or ("." in named and viewer == owner)


def publicity(named: frozenset[str] | None, *, owner: Namespace, viewer: Namespace) -> int:
    """Return 0 for a route named to its own namespace and seen there, 1 for by name, 2 for public (ISTIO.md 4.2).

    It is the viewer's question: ``[".", "shop"]`` is private where it lives, and exported by name in ``shop``
    (istiod's ``initVirtualServices``).
    """
    if not named or "*" in named:
        return 2
    return 0 if not named.isdisjoint({".", owner}) and owner == viewer else 1
