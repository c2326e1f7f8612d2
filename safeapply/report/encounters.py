"""What clients send and servers accept, port by port, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from safeapply.checks.mutual_tls import Encounter
from safeapply.report.columns import aligned
from safeapply.resources.objects import ResourceId
from safeapply.visible import visible_json

__all__ = ["encounters_json", "encounters_text"]

FORMAT_VERSION: Final = "1"
HEADINGS: Final = ("HOST:PORT", "STATUS", "SERVER", "CLIENT", "AUTHN POLICY", "DESTINATION RULE")


def encounters_text(found: Sequence[Encounter]) -> str:
    """Return one line for each port under headings, ``-`` for the mesh's default; nothing where none is known."""
    return "\n".join(aligned([HEADINGS, *map(_cells, found)])) if found else ""


def encounters_json(found: Sequence[Encounter]) -> str:
    """Return the same as indented JSON, with a newline at the end."""
    document = {"formatVersion": FORMAT_VERSION, "ports": [_document(one) for one in found]}
    return visible_json(json.dumps(document, indent=2, ensure_ascii=False)) + "\n"


def _cells(one: Encounter) -> tuple[str, ...]:
    return (
        f"{one.host}:{one.port}",
        one.status.value,
        ",".join(one.server) or "-",
        ",".join(one.client) or "-",
        _names(one.policies),
        _names(one.rules),
    )


def _names(objects: Sequence[ResourceId]) -> str:
    return ",".join(f"{one.namespace}/{one.name}" for one in objects) or "-"


def _document(one: Encounter) -> dict[str, Any]:
    return {
        "host": one.host,
        "port": one.port,
        "status": one.status.value,
        "server": list(one.server),
        "client": list(one.client),
        "authnPolicies": list(map(str, one.policies)),
        "destinationRules": list(map(str, one.rules)),
    }
