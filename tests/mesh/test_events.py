"""``-o events`` and ``-o name`` of a real rollout."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from jsonschema import Draft202012Validator

from safeapply.sandbox.mesh import Mesh
from tests.mesh.command import EXAMPLE, PATIENCE, command, scene, started

SCHEMA = Path(__file__).parents[2] / "docs" / "events.schema.json"
DESIRED = str(EXAMPLE / "desired")
APPLY = ("apply", "--soak=0", "--yes", "-f", DESIRED)


async def test_a_rollout_is_told_line_by_line_and_every_line_is_of_the_schema() -> None:
    """A rename: three writes, three barriers, and one result at the end; a second run changes nothing."""
    judge = Draft202012Validator(json.loads(SCHEMA.read_text()))
    async with Mesh(scene()) as mesh:
        result = await command(mesh, *APPLY, "-o", "events")
        lines = [json.loads(line) for line in result.out.splitlines()]
        for line in lines:
            judge.validate(line)
        types = [line["type"] for line in lines]
        assert (types[0], types[-2:]) == ("rolloutStarted", ["rolloutSettled", "result"])
        assert types.count("objectWritten") == types.count("barrierOpened") == 3
        again = await command(mesh, *APPLY, "-o", "events")
        assert [json.loads(line)["outcome"] for line in again.out.splitlines()] == ["unchanged"]
        names = await command(mesh, *APPLY, "-o", "name")
        assert "destinationrule.networking.istio.io/reviews" in names.out.splitlines()


async def test_a_reader_that_leaves_is_no_error_and_the_rollout_goes_on() -> None:
    """As with ``| head -1``: nothing is said of the pipe, and what was begun is ended."""
    async with Mesh(scene()) as mesh:
        process = await started(mesh, *APPLY, "-o", "events")
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(await process.stdout.readline())["type"] == "rolloutStarted"
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        told = (await asyncio.wait_for(process.stderr.read(), PATIENCE)).decode()
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
        assert "settled after" in told
        assert "ipe" not in told
