"""A root's routes with its delegates' in their places (ISTIO.md 4.6; istio ``mergeHTTPRoutes``). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from safeapply.sandbox.controlplane.translation.metadata import Json

__all__ = ["Find", "merge_delegates"]

Find: TypeAlias = Callable[[str, str], Sequence[Json] | None]
"""(namespace, name) -> the routes of a delegate, or None where the root cannot have them."""

INHERITED = (
    "rewrite", "directResponse", "timeout", "retries", "fault", "mirror", "mirrors", "mirrorPercentage",
    "corsPolicy", "headers",
)  # fmt: skip
"""What the root says for those of its delegates that do not say it themselves."""

TEXTS = ("uri", "scheme", "method", "authority")
MAPS = ("headers", "withoutHeaders", "queryParams")


def merge_delegates(routes: Iterable[Json], namespace: str, find: Find) -> Iterator[Json]:
    """Yield the routes; one that delegates becomes its delegate's, or nothing where there is no such delegate."""
    for route in routes:
        delegate = route.get("delegate")
        if not delegate:
            yield route
            continue
        for inner in find(str(delegate.get("namespace") or namespace), str(delegate.get("name"))) or ():
            if not inner.get("delegate") and (merged := _merge(route, inner)) is not None:
                yield merged


def _merge(root: Json, leaf: Json) -> Json | None:
    match = _matches(root.get("match") or [], leaf.get("match") or [])
    if match is None:
        return None
    inherited = {key: root[key] for key in INHERITED if root.get(key) is not None and leaf.get(key) is None}
    names = [str(each["name"]) for each in (root, leaf) if each.get("name")]
    return {**leaf, **inherited, "match": match, "name": "-".join(names)}


def _matches(roots: Sequence[Json], leaves: Sequence[Json]) -> Sequence[Json] | None:
    """Return the matches of both, or None where a leaf's fits none of the root's."""
    if not roots or not leaves:
        return [*roots, *leaves]
    merged: list[Json] = []
    for leaf in leaves:
        fitting = [root for root in roots if not _conflict(root, leaf)]
        if not fitting:
            return None
        merged += [_both(root, leaf) for root in fitting]
    return merged


def _both(root: Json, leaf: Json) -> Json:
    maps = {
        key: {**(root.get(key) or {}), **(leaf.get(key) or {})}
        for key in (*MAPS, "sourceLabels")
        if root.get(key) or leaf.get(key)
    }
    return {**root, **{key: value for key, value in leaf.items() if value}, **maps}


def _conflict(root: Json, leaf: Json) -> bool:
    """Tell whether a leaf's match reaches beyond the root's (istio ``hasConflict``)."""
    return (
        bool(root.get("ignoreUriCase")) != bool(leaf.get("ignoreUriCase"))
        or any(_texts_conflict(root.get(key), leaf.get(key)) for key in TEXTS)
        or any(_maps_conflict(root.get(key) or {}, leaf.get(key) or {}) for key in MAPS)
        or _labels_conflict(root.get("sourceLabels") or {}, leaf.get("sourceLabels") or {})
        or (bool(root.get("port")) and bool(leaf.get("port")) and root["port"] != leaf["port"])
        or (bool(root.get("sourceNamespace")) and root["sourceNamespace"] != leaf.get("sourceNamespace"))
        or bool(root.get("gateways") and not set(leaf.get("gateways") or ()) <= set(root["gateways"]))
    )


def _maps_conflict(root: Mapping[str, Json], leaf: Mapping[str, Json]) -> bool:
    return any(_texts_conflict(value, leaf.get(key)) for key, value in root.items())


def _labels_conflict(root: Mapping[str, str], leaf: Mapping[str, str]) -> bool:
    return any(key in leaf and leaf[key] != value for key, value in root.items())


def _texts_conflict(root: Json | None, leaf: Json | None) -> bool:
    if not root or not leaf:
        return False
    match root, leaf:
        case {"exact": outer}, {"exact": inner}:
            return bool(outer != inner)
        case {"prefix": outer}, {"prefix": inner} | {"exact": inner}:
            return not str(inner).startswith(str(outer))
        case _:
            # Regular expressions are never compared, and a prefix reaches beyond an exact text.
            return True
