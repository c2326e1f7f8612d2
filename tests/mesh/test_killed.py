"""A run that is killed at any instant loses no request, and the same command brings it to its end."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safeapply.resources.objects import Document, Namespace, ResourceId
from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.loading import read_documents
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.run import run_under_load

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/desired"))
BRISK = Delays(lag=Span(0.0, 0.3), push=Span(0.0, 0.4))
KILLING = (sys.executable, str(Path(__file__).with_name("killing.py")))
SAFEAPPLY = (sys.executable, "-m", "safeapply")
SAMPLE, ALL = 4, 200


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.long] if seed > SAMPLE else []) for seed in range(1, ALL + 1)]
)
async def test_a_rollout_that_is_killed_at_random_ends_as_desired_without_a_failed_request(seed: int) -> None:
    """SIGKILL up to six times in one rollout; each run plans from what is live, and waits for what is not there."""
    example = EXAMPLES[seed % len(EXAMPLES)]
    live, desired = (read_documents([example / part]) for part in ("live", "desired"))
    final: dict[ResourceId, Any] = {}

    @asynccontextmanager
    async def looking(mesh: Mesh) -> AsyncIterator[None]:
        yield
        final.update({id_of(one): specs(mesh.store.get(id_of(one))) for one in desired})

    report = await run_under_load(
        (*KILLING, str(seed), *SAFEAPPLY, "apply", "-f", str(example / "desired"), "--yes", "--soak", "200ms"),
        scene=Scene(live=live, desired=desired, proxies=4, seed=seed, delays=BRISK),
        rate=200.0,
        meanwhile=looking,
    )
    assert (report.exit_code, report.tally.failed, report.tally.lost) == (0, 0, {}), report.to_document()
    assert final == {id_of(one): specs(one) for one in desired}


def id_of(document: Document) -> ResourceId:
    """Return which object a manifest is about."""
    metadata = document["metadata"]
    group = str(document["apiVersion"]).rpartition("/")[0]
    return ResourceId(group, document["kind"], Namespace(metadata.get("namespace", "default")), metadata["name"])


def specs(document: Mapping[str, Any] | None) -> Any:
    """Return what an object says, without what the server adds."""
    return None if document is None else document.get("spec")
