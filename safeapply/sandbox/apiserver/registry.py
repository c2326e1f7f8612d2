"""All kinds that are served: the built-in ones, and those that CustomResourceDefinitions add. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from safeapply.resources.objects import Document, GroupKind
from safeapply.sandbox.apiserver.catalogue import BUILT_IN
from safeapply.sandbox.apiserver.kinds import META_LISTS, Kind

__all__ = ["Kinds", "defined_kind", "version_rank"]

_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STABILITY: Final = {None: 2, "beta": 1, "alpha": 0}


class Kinds:
    """The kinds, by resource and by kind."""

    def __init__(self) -> None:
        self._by_kind: dict[GroupKind, Kind] = {}
        self._by_plural: dict[tuple[str, str], Kind] = {}
        for kind in BUILT_IN:
            self._add(kind)

    def __iter__(self) -> Iterator[Kind]:
        """Yield them, those of a group in one run."""
        yield from sorted(self._by_kind.values(), key=lambda kind: (kind.group, kind.plural))

    def named(self, kind: GroupKind) -> Kind | None:
        """Return a kind by its group and name."""
        return self._by_kind.get(kind)

    def served(self, group: str, version: str, plural: str) -> Kind | None:
        """Return the kind behind a path, or None where that version of it is not served."""
        kind = self._by_plural.get((group, plural))
        return kind if kind is not None and version in kind.versions else None

    def define(self, definition: Document) -> None:
        """Serve the kind of a CustomResourceDefinition; one that is built in stays as it is."""
        kind = defined_kind(definition)
        if self._by_kind.get(kind.group_kind) not in BUILT_IN:
            self._add(kind)

    def withdraw(self, definition: Document) -> Kind | None:
        """Serve a defined kind no longer, and return it; a built-in one stays."""
        kind = self._by_kind.get(defined_kind(definition).group_kind)
        if kind is None or kind in BUILT_IN:
            return None
        del self._by_kind[kind.group_kind], self._by_plural[kind.group, kind.plural]
        return kind

    def _add(self, kind: Kind) -> None:
        self._by_kind[kind.group_kind] = kind
        self._by_plural[kind.group, kind.plural] = kind


def defined_kind(definition: Document) -> Kind:
    """Return the kind that a CustomResourceDefinition defines.

    Raises:
        LookupError, TypeError, AttributeError: the definition lacks a field, or one has another form.
    """
    spec = definition["spec"]
    names = spec["names"]
    versions = sorted((one for one in spec["versions"] if one.get("served", True)), key=_priority, reverse=True)
    words = [spec["group"], names["kind"], names["plural"], *(one["name"] for one in versions)]
    if not all(isinstance(word, str) for word in words):
        raise TypeError("group, kind, plural and versions have to be words")
    columns = versions[0].get("additionalPrinterColumns") or ()
    return Kind(
        group=spec["group"],
        versions=tuple(one["name"] for one in versions),
        name=names["kind"],
        plural=names["plural"],
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        namespaced=spec.get("scope") != "Cluster",
        lists={**META_LISTS, **dict(_mergeable(versions[0].get("schema")))},
        columns=tuple((one["name"], one["jsonPath"].lstrip(".")) for one in columns if one["type"] != "date"),
        subresources={one["name"]: one.get("subresources") or {} for one in versions},
        schemas={one["name"]: (one.get("schema") or {}).get("openAPIV3Schema") or {} for one in versions},
        custom=True,
    )


def _priority(version: Mapping[str, Any]) -> tuple[int, int, int]:
    return version_rank(version["name"])


def version_rank(name: str) -> tuple[int, int, int]:
    """Rank a version as Kubernetes does: stable before beta before alpha, newer before older."""
    found = _VERSION.fullmatch(name)
    if found is None:
        return (-1, 0, 0)
    return (_STABILITY[found[2]], int(found[1]), int(found[3] or 0))


def _mergeable(schema: object) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the lists of an OpenAPI schema that are merged item by item."""
    if not isinstance(schema, Mapping):
        return
    for name, child in (schema.get("properties") or {}).items():
        match child.get("x-kubernetes-list-type"):
            case "map":
                yield name, tuple(child["x-kubernetes-list-map-keys"])
            case "set":
                yield name, ()
            case _:
                pass
        yield from _mergeable(child)
    for key in ("items", "additionalProperties", "openAPIV3Schema"):
        yield from _mergeable(schema.get(key))
