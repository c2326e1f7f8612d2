"""Who asks twice is told the same: no sentence hangs on the order in which Python keeps a set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.plans.worlds import SERVICES, rule

BOTH = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: both}
spec:
  hosts: [reviews, ratings]
  http:
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 50}
    - {destination: {host: ratings, subset: v1}, weight: 50}
"""
SEEDS = range(1, 9)


def test_a_plan_is_refused_in_the_same_words_each_time(tmp_path: Path) -> None:
    """Two fields that would dangle, seen by several classes: file by file and field by field."""
    live, wanted = tmp_path / "live.yaml", tmp_path / "wanted.yaml"
    live.write_text(SERVICES + rule("reviews", "v1") + rule("ratings", "v1") + BOTH)
    wanted.write_text(rule("reviews", "v2") + rule("ratings", "v2"))
    told = {refused(live, wanted, seed) for seed in SEEDS}
    assert len(told) == 1
    (text,) = told
    assert text.count("in-use") == 2


def refused(live: Path, wanted: Path, seed: int) -> str:
    """Return what ``plan`` says under one seed of Python's hashes."""
    command = (sys.executable, "-m", "safeapply", "plan", "-f", str(wanted), "--live", str(live))
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 4, done.stderr
    return done.stdout
