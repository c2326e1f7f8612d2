"""Findings as SARIF 2.1.0, so that code hosts show them beside the lines of a pull request.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; what is found on an object of the cluster has
a logical location alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

from safeapply.checks.catalogue import NAMES
from safeapply.checks.findings import Finding, Severity
from safeapply.visible import visible_json

__all__ = ["findings_sarif"]

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def findings_sarif(findings: Sequence[Finding], *, version: str) -> str:
    """Return one run of ``safeapply check`` as indented JSON, with a newline at the end.

    Args:
        findings: what was found.
        version: of safeapply.
    """
    codes = list(NAMES)
    rules = [{"id": code, "name": name} for code, name in NAMES.items()]
    run = {
        "tool": {"driver": {"name": "safeapply", "semanticVersion": version, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, codes.index(one.code)) for one in findings],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return visible_json(json.dumps(document, indent=2, ensure_ascii=False)) + "\n"


def _result(one: Finding, index: int) -> dict[str, Any]:
    return {
        "ruleId": one.code,
        "ruleIndex": index,
        "level": _LEVELS[one.severity],
        "message": {"text": f"{one.effect} {one.remedy}"},
        "locations": [_location(one)],
        # Lines move; a code host knows by this which findings of a pull request are new.
        "partialFingerprints": {"finding/v1": sha256("\0".join(map(str, one.key)).encode()).hexdigest()},
    }


def _location(one: Finding) -> dict[str, Any]:
    logical = {"logicalLocations": [{"fullyQualifiedName": f"{one.object}:{one.field}", "kind": "member"}]}
    if not one.file:
        return logical
    artifact = {"uri": quote(one.file.removeprefix("./"))}
    return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": max(one.line, 1)}}} | logical
