"""The audit of the locks: a known vulnerability fails it, and what cannot be known is said and blocks nothing."""

from __future__ import annotations

import json
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GOOD = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
BAD = {
    "name": "aiohttp",
    "version": "3.9.1",
    "vulns": [
        {
            "id": "PYSEC-2024-24",
            "fix_versions": ["3.9.2"],
            "aliases": ["CVE-2024-23334", "GHSA-5h86-8mv2-jq9f"],
            "description": "A link out of the directory is followed.",
        }
    ],
}
"""As pip-audit 2.10 prints it."""
UNKNOWN = {
    "name": "aiohttp",
    "skip_reason": "Dependency not found on PyPI and could not be audited: aiohttp (3.14.5)",
}


@pytest.fixture
def audit() -> ModuleType:
    """Load the program that CI runs."""
    loader = SourceFileLoader("audit", str(ROOT / ".ci" / "audit.py"))
    module = ModuleType(loader.name)
    module.__file__ = loader.path
    loader.exec_module(module)
    return module


def program(directory: Path, script: str) -> Path:
    """Return a program that stands for pip-audit."""
    path = directory / "pip-audit"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([GOOD], 0, "lock: 1 packages audited"),
        ([GOOD, BAD], 1, "lock: aiohttp 3.9.1: PYSEC-2024-24, fixed in 3.9.2"),
        ([GOOD, UNKNOWN], 0, "lock: NOT AUDITED: 1 of 2 packages, of which the index tells nothing"),
        ([BAD, UNKNOWN], 1, "PYSEC-2024-24"),
        (None, 0, "lock: NOT AUDITED: pip-audit has no answer (no network?)"),
    ],
)
def test_what_was_found_is_told(
    audit: ModuleType, capsys: pytest.CaptureFixture[str], packages: list[Any] | None, code: int, said: str
) -> None:
    """Only a vulnerability fails."""
    assert audit.told([("lock", packages)]) == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("name", ["PYSEC-2024-24", "CVE-2024-23334", "GHSA-5h86-8mv2-jq9f"])
def test_one_that_is_accepted_is_told_with_its_reason(
    audit: ModuleType, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """By any of its names."""
    audit.ACCEPTED[name] = "no files are served; until aiohttp 4"
    assert audit.told([("lock", [BAD])]) == 0
    assert "accepted: no files are served" in capsys.readouterr().out


def test_what_the_tool_finds_is_taken_over_whatever_its_exit_code(audit: ModuleType, tmp_path: Path) -> None:
    """It is 1 where there is a vulnerability."""
    (tmp_path / "out").write_text(json.dumps({"dependencies": [BAD], "fixes": []}))
    assert audit.audited(program(tmp_path, f"cat {tmp_path / 'out'}; exit 1"), tmp_path) == [BAD]


@pytest.mark.parametrize("script", ["exit 1", "echo '{}'", "echo '[]'", "echo Traceback; exit 1"])
def test_a_tool_that_cannot_ask_has_found_nothing(audit: ModuleType, tmp_path: Path, script: str) -> None:
    """Nor has one that could not be installed."""
    assert audit.audited(program(tmp_path, script), tmp_path) is None
    assert audit.audited(tmp_path / "missing", tmp_path) is None


def test_every_lock_is_audited_and_the_tool_itself_is_locked(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one of what is handed out above all."""
    monkeypatch.setattr(audit, "installed", lambda place: place)
    monkeypatch.setattr(audit, "audited", lambda *_: [GOOD])
    assert audit.main() == 0
    told = capsys.readouterr().out
    locks = [f"locks/{one.name}" for one in (ROOT / "locks").glob("*.txt")]
    assert all(f"{lock}: 1 packages audited" in told for lock in ["container/requirements.txt", *locks])
    assert "--hash=sha256:" in (ROOT / "locks" / "audit.txt").read_text()
