"""What the hooks of a GitOps controller run on."""

from __future__ import annotations

import shutil

import pytest

from tests.gitops.container import missing


@pytest.fixture(scope="session", autouse=True)
def _able() -> None:
    """Skip where this machine has no kubectl, or cannot run containers."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    if why := missing():
        pytest.skip(why)
