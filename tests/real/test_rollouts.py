"""The promise on a real control plane: no request is lost, and the mesh is as desired in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.places import EXAMPLES, Place, documents
from tests.real.record import LINES

NUMBERED = sorted(path.parent for path in EXAMPLES.glob("0*/desired"))


@pytest.mark.parametrize("example", NUMBERED, ids=lambda path: path.name)
def test_no_example_loses_a_request(place: Place, example: Path) -> None:
    """Every request that is served before and after is served in between, and nothing is left to do."""
    live = documents(example / "live")
    hosts = [one["metadata"]["name"] for one in live if one["kind"] == "Service"]
    place.live(live)
    with place.load(*hosts) as load:
        result = place.safeapply("apply", "-f", str(example / "desired"), "--yes")
    assert result.code == 0, result.err + result.out
    assert load.counts.failed == 0, load.counts
    again = place.safeapply("apply", "-f", str(example / "desired"), "--yes")
    assert "configured" not in again.out, again.out
    LINES.append(f"{example.name}: {load.counts.requests} requests, {load.counts.failed} failed")
