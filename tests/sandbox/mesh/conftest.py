"""Short-lived directories for sockets, and facts about processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def run() -> Iterator[Path]:
    """Hand over a directory whose name is short enough for unix sockets, which pytest's own is not."""
    directory = Path(tempfile.mkdtemp(prefix="sa-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def until() -> Callable[[Callable[[], object], str], None]:
    """Hand over a wait for a fact, which fails with a sentence when the fact does not come."""

    def wait(fact: Callable[[], object], sentence: str) -> None:
        deadline = time.monotonic() + 20
        while not fact():
            assert time.monotonic() < deadline, sentence
            time.sleep(0.02)

    return wait


@pytest.fixture
def descendants() -> Callable[[int], set[int]]:
    """Hand over a look at all processes that a process has started, and those that these have."""

    def look(pid: int) -> set[int]:
        children: dict[int, set[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, set()).add(int(stat.parent.name))
        found: set[int] = set()
        frontier = {pid}
        while frontier:
            frontier = {child for parent in frontier for child in children.get(parent, ())} - found
            found |= frontier
        return found

    return look


@pytest.fixture
def alive() -> Callable[[int], bool]:
    """Hand over a look whether a process runs; one that nobody has reaped yet does not."""

    def look(pid: int) -> bool:
        try:
            os.kill(pid, 0)
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (ProcessLookupError, FileNotFoundError):
            return False

    return look
