"""Each command of the README, as it stands, on a real control plane."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.mesh import Mesh
from tests.real.places import EXAMPLES, Place, documents
from tests.test_readme import SESSIONS, laid_out, run_all

LIVE = EXAMPLES / "01-rename-a-subset" / "live"


@pytest.fixture
def default(mesh: Mesh) -> Iterator[Place]:
    """Return the namespace that the commands mean, with the first example in it, and without it at the end."""
    with Place(mesh, "default") as place:
        yield place.live(documents(LIVE), clients=1)


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session[0])
async def test_the_commands_of_a_block_run_one_after_the_other(
    session: tuple[str, ...], default: Place, tmp_path: Path
) -> None:
    """As they stand, by paste: each ends with 0, or asks whom it may ask."""
    laid_out(tmp_path)
    (tmp_path / "bin" / "kubectl").unlink()  # which stands in for a server's OpenAPI document
    await run_all(session, tmp_path, default.mesh.kubeconfig)
