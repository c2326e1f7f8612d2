"""Inputs led by which code they reach (atheris): a program of its own, because it instruments what it imports.

Run: python -m tests.fuzz.guided manifests|dumps CORPUS -runs=20000; it ends with 0, or with a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["safeapply"]):  # type: ignore[attr-defined]  # its stubs lack it
    from safeapply.xds import configdump, health, listeners, references, sockets
    from tests.fuzz import test_manifests

READERS: tuple[Callable[[int, bytes], object], ...] = (
    configdump.clusters,
    configdump.endpoints,
    configdump.changes,
    configdump.times,
    configdump.listener_version,
    health.health,
    health.listener_errors,
    listeners.listeners,
    references.route_configs,
    sockets.sockets,
    sockets.marks,
    sockets.inbound,
)


def dumps(data: bytes) -> None:
    """Read an answer of an Envoy in every way in which answers are read."""
    for read in READERS:
        with suppress(configdump.UnreadableError):
            read(200, data)


TARGETS: Mapping[str, Callable[[bytes], None]] = {"manifests": test_manifests.survives, "dumps": dumps}


def main() -> None:
    """Fuzz the target that is named, beginning with good inputs."""
    _, name, corpus, *options = sys.argv
    for number, seed in enumerate(test_manifests.seeds() if name == "manifests" else ()):
        Path(corpus, f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], corpus, *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
