"""The real mesh of a run of the tests, what it ran on, and what the rollouts came to."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.mesh import Mesh
from tests.real.places import Place
from tests.real.programs import Programs, built
from tests.real.record import LINES

NUMBERS = itertools.count(1)
"""A namespace that is going keeps its name for a while."""
HERE = Path(__file__).parent
REAL = "SAFEAPPLY_REAL_RUN"


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Return the real programs."""
    return built()


@pytest.fixture(scope="session")
def run_directory() -> Path:
    """Return the directory that ``enter`` made; it is in memory, and gone with the run."""
    assert REAL in os.environ, "run these tests by `make test-real`: they take a network of their own"
    return Path(os.environ[REAL])


@pytest.fixture(scope="session")
def mesh(programs: Programs, run_directory: Path) -> Iterator[Mesh]:
    """Start the mesh that all tests share."""
    with Mesh(programs, run_directory / "mesh") as running:
        yield running
    if kept := os.environ.get("SAFEAPPLY_REAL_LOGS"):
        shutil.copytree(run_directory / "mesh" / "logs", kept, dirs_exist_ok=True)


@pytest.fixture
def place(mesh: Mesh, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Return a namespace of a test's own, whose pods get proxies; it is gone when the test is over."""
    name = request.node.name.split("[")[0].removeprefix("test_").replace("_", "-")[:40].strip("-")
    with Place(mesh, f"{name}-{next(NUMBERS)}") as own:
        yield own


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of them: whoever runs every test has no such place to run them in."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.real)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the rollouts came to."""
    if LINES:
        terminalreporter.section("on a real control plane")
        for line in LINES:
            terminalreporter.write_line(line)
