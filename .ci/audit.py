#!/usr/bin/env python3
"""Look for known vulnerabilities of all that is installed by a lock, as the index of Python packages has them.

Exit 1 where one is found that is not accepted below. Without network, or with an index that has no such data (a
mirror), nothing can be known: that is said, with how many packages it is about, and blocks nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TOOL = ROOT / "build" / "audit"
ACCEPTED: dict[str, str] = {}
"""Vulnerabilities that may stay, by id, each with why it does no harm here and until when that is so."""
SECONDS = 600


def main() -> int:
    """Audit every lock, and return the exit code."""
    locks = sorted({ROOT / "container" / "requirements.txt", *(ROOT / "locks").glob("*.txt")})
    program = installed(TOOL)
    return told([(str(lock.relative_to(ROOT)), audited(program, lock)) for lock in locks])


def installed(place: Path) -> Path:
    """Install pip-audit by its own lock, in an environment of its own, and return the program."""
    program = place / "bin" / "pip-audit"
    if not program.exists():
        venv.create(place, with_pip=True, clear=True)
        words = ("install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:")
        lock = ROOT / "locks" / "audit.txt"
        subprocess.run((place / "bin" / "python", "-m", "pip", *words, "-r", lock), check=False)
    return program


def audited(program: Path, lock: Path) -> list[dict[str, Any]] | None:
    """Return what is known of each package of a lock; None where nothing could be asked."""
    words = ("--requirement", lock, "--disable-pip", "--require-hashes", "--vulnerability-service", "pypi")
    form = ("--format", "json", "--progress-spinner", "off")
    try:
        done = subprocess.run((program, *words, *form), capture_output=True, check=False, timeout=SECONDS)
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired):
        return None
    return dependencies


def told(audits: list[tuple[str, list[dict[str, Any]] | None]]) -> int:
    """Print what was found, and return 1 where something has to be done."""
    bad = False
    for lock, packages in audits:
        known = [one for one in packages or () if "vulns" in one]
        unknown = len(packages or ()) - len(known)
        for one in known:
            for each in one["vulns"]:
                reason = next((ACCEPTED[name] for name in names(each) if name in ACCEPTED), "")
                bad = bad or not reason
                fixed = ", ".join(each.get("fix_versions") or ()) or "no version yet"
                said = f"accepted: {reason}" if reason else f"fixed in {fixed}"
                print(f"{lock}: {one['name']} {one['version']}: {each['id']}, {said}")
        if packages is None:
            print(f"{lock}: NOT AUDITED: pip-audit has no answer (no network?)")
        elif unknown:
            print(f"{lock}: NOT AUDITED: {unknown} of {len(packages)} packages, of which the index tells nothing")
        else:
            print(f"{lock}: {len(known)} packages audited")
    return 1 if bad else 0


def names(vulnerability: dict[str, Any]) -> list[str]:
    """Return all names of a vulnerability: PYSEC-..., CVE-..., GHSA-..."""
    return [str(vulnerability["id"]), *map(str, vulnerability.get("aliases") or ())]


if __name__ == "__main__":
    sys.exit(main())
