"""The proxies of a mesh as a table and as JSON, each with what istiod says of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from safeapply.istio.proxies import Proxy
from safeapply.istio.replicas import Census, Connected, Spoken
from safeapply.report.columns import aligned
from safeapply.resources.objects import Namespace
from safeapply.visible import visible, visible_json

__all__ = ["roll_json", "roll_notes", "roll_text"]

FORMAT_VERSION: Final = "1"
HEADINGS: Final = ("NAME", "ROLE", "STATE", "VERSION", "REVISION", "NODE", "ISTIOD", "XDS")
NOTHING: Final = "-"


@dataclass(frozen=True, slots=True)
class _Row:
    """One proxy, and the replica that serves it."""

    proxy: Proxy
    replica: str | None
    said: Connected | None


def roll_text(census: Census, namespace: Namespace | None = None) -> str:
    """Return one line for each proxy, under headings; nothing where none runs."""
    rows = [_cells(row, census) for row in _rows(census, namespace)]
    return "\n".join(aligned([HEADINGS, *rows])) if rows else ""


def roll_notes(census: Census, namespace: Namespace | None, root_namespace: Namespace) -> tuple[str, ...]:
    """Return what the table has no room for, a sentence each: silent replicas, refusals, an empty mesh."""
    rows = tuple(_rows(census, namespace))
    notes = (
        *_silences(census, root_namespace),
        *(
            f"{row.proxy.id} rejected {kind}: {words}"
            for row in rows
            for kind, words in (row.said.rejected.items() if row.said else ())
        ),
        *(() if rows else (f"no proxy runs in {namespace or 'this mesh'}",)),
    )
    return tuple(map(visible, notes))


def roll_json(census: Census, namespace: Namespace | None = None) -> str:
    """Return the same as indented JSON, with a newline at the end."""
    document = {
        "formatVersion": FORMAT_VERSION,
        "istiods": [
            {"name": one.replica.id, "revision": one.replica.revision, "reached": not one.silence}
            | ({"why": one.silence} if one.silence else {"proxies": len(one.connected)})
            for one in census.hearings
        ],
        "proxies": [_document(row, census) for row in _rows(census, namespace)],
    }
    return visible_json(json.dumps(document, indent=2, ensure_ascii=False)) + "\n"


def _rows(census: Census, namespace: Namespace | None) -> Iterable[_Row]:
    spoken = Spoken.of(census.hearings)
    for proxy in census.proxies:
        if namespace is None or proxy.namespace == namespace:
            replica, said = spoken.about(proxy) or (None, None)
            yield _Row(proxy, replica.id if replica else None, said)


def _cells(row: _Row, census: Census) -> tuple[str, ...]:
    proxy = row.proxy
    cells = (
        proxy.id,
        proxy.role.value,
        proxy.condition.value,
        _version(row),
        proxy.revision,
        proxy.node,
        row.replica or "",
        _xds(row, census),
    )
    return tuple(cell or NOTHING for cell in cells)


def _version(row: _Row) -> str:
    """Return what the proxy told istiod; else the tag of its image."""
    return (row.said.version if row.said else "") or row.proxy.version


def _xds(row: _Row, census: Census) -> str:
    """Return what istiod has heard of the proxy."""
    if row.said is None:
        return "not connected" if _is_complete(census) else "unknown"
    told = [f"{kind} rejected" for kind in row.said.rejected]
    told += [f"{kind} unconfirmed" for kind in row.said.unconfirmed if kind not in row.said.rejected]
    return ", ".join(told) or "confirmed"


def _is_complete(census: Census) -> bool:
    """Tell whether every replica has spoken, so that what none of them mentions is not connected."""
    return bool(census.hearings) and not any(one.silence for one in census.hearings)


def _silences(census: Census, root_namespace: Namespace) -> tuple[str, ...]:
    if not census.hearings:
        nobody = f"no pod labelled app=istiod runs in {root_namespace}; name istiod's namespace with -i"
        return (f"{nobody}. What it says of the proxies is not known",)
    return tuple(
        f"{one.replica.id} could not be asked ({one.silence}), so what it says of its proxies is not known"
        for one in census.hearings
        if one.silence
    )


def _document(row: _Row, census: Census) -> dict[str, Any]:
    proxy, said = row.proxy, row.said
    told: dict[str, Any] = {
        "name": proxy.pod,
        "namespace": proxy.namespace,
        **({"cluster": proxy.cluster} if proxy.cluster else {}),
        "role": proxy.role.value,
        "state": proxy.condition.value,
        "ready": proxy.ready,
        "version": _version(row),
        "revision": proxy.revision,
        "node": proxy.node,
        "connected": True if said else False if _is_complete(census) else None,
        "istiod": row.replica,
    }
    return told | ({"unconfirmed": list(said.unconfirmed), "rejected": dict(said.rejected)} if said else {})
