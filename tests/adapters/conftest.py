"""A mesh for each test, in a directory whose name is short enough for unix sockets."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.sandbox.controlplane.lab import Lab, laboratory


@pytest.fixture
def run() -> Iterator[Path]:
    """Hand over an empty directory."""
    directory = Path(tempfile.mkdtemp(prefix="sa-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
async def lab(run: Path) -> AsyncIterator[Lab]:
    """Hand over a running mesh without delays and without Envoys."""
    async with laboratory(run) as running:
        yield running
