"""The command, as users run it, against an API server without Envoys: for what the data plane has no part in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.sandbox.apiserver.cluster import Cluster

PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Everything that it printed."""
        return self.out + self.err


def ran(*words: str, kubeconfig: Path, **environment: str) -> Said:
    """Run a command with a kubeconfig; a traceback fails the test."""
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "KUBECONFIG": str(kubeconfig), **environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


def safeapply(cluster: Cluster, *arguments: str) -> Said:
    """Run safeapply against a cluster."""
    return ran(sys.executable, "-m", "safeapply", *arguments, kubeconfig=cluster.kubeconfig)


def kubectl(cluster: Cluster, *arguments: str) -> Said:
    """Run kubectl against a cluster, with its alpha for apply sets."""
    cache = ("--cache-dir", str(cluster.directory / "cache"))
    return ran("kubectl", *cache, *arguments, kubeconfig=cluster.kubeconfig, KUBECTL_APPLYSET="true")


def files(directory: Path, *documents: Mapping[str, Any]) -> str:
    """Write documents into a directory of their own, and return its path."""
    directory.mkdir(exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    for number, document in enumerate(documents):
        (directory / f"{number}.yaml").write_text(yaml.safe_dump(dict(document)))
    return str(directory)


def names(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of objects."""
    return sorted(str(one["metadata"]["name"]) for one in documents)
