"""For each check a pair of manifests: what is printed of the faulty one stands beside it; the clean one is clean.

``UPDATE_PAIRS=1 pytest tests/checks`` writes the ``printed.txt`` anew, to be read before it is committed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from safeapply.checks.catalogue import NAMES
from safeapply.checks.check import check
from safeapply.checks.findings import Finding
from safeapply.checks.scene import Sight
from safeapply.report.findings import findings_text
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace

PAIRS = Path(__file__).parent / "pairs"
NAMED = sorted(path.name for path in PAIRS.iterdir())


def checked(path: Path) -> tuple[Finding, ...]:
    """Return the findings of one file, as if it were all that a cluster holds."""
    source = SourceText(path.name, path.read_text())
    found = read_manifests((source,), default_namespace=Namespace("default"))
    return check({one.id: one for one in found}, Sight()).findings


@pytest.mark.parametrize("pair", NAMED)
def test_the_faulty_one_is_found(pair: str) -> None:
    """Nothing but what the pair is named after is found, with the words that stand beside it."""
    findings = checked(PAIRS / pair / "faulty.yaml")
    printed = PAIRS / pair / "printed.txt"
    if os.environ.get("UPDATE_PAIRS"):
        printed.write_text(findings_text(findings))
    assert {one.code for one in findings} == {pair.partition("-")[0]}
    assert findings_text(findings) == printed.read_text()


@pytest.mark.parametrize("pair", NAMED)
def test_the_clean_one_is_not(pair: str) -> None:
    """Not a hint is given on the clean one."""
    assert checked(PAIRS / pair / "clean.yaml") == ()


def test_every_code_has_a_pair() -> None:
    """What the catalogue lists can be found, and nothing else is."""
    assert {name.partition("-")[0] for name in NAMED} == set(NAMES)
