"""Running the tool against a mesh, as a user does."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.loading import read_documents
from safeapply.sandbox.mesh import Mesh, Scene

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-rename-a-subset"
"""The reviews of namespace default move from subset v1 to stable."""
BRISK = Delays(lag=Span(0.0, 0.3), push=Span(0.0, 0.4))
SAFEAPPLY = (sys.executable, "-m", "safeapply")
PATIENCE = 60.0


@dataclass(frozen=True)
class Result:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


def scene(*, seed: int = 1, proxies: int = 4, delays: Delays = BRISK) -> Scene:
    """Return the mesh of the example."""
    live, desired = (read_documents([EXAMPLE / part]) for part in ("live", "desired"))
    return Scene(live=live, desired=desired, proxies=proxies, seed=seed, delays=delays)


async def started(mesh: Mesh, *arguments: str) -> asyncio.subprocess.Process:
    """Start safeapply against a mesh."""
    return await asyncio.create_subprocess_exec(
        *SAFEAPPLY,
        *arguments,
        env={**os.environ, "KUBECONFIG": str(mesh.kubeconfig)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> Result:
    """Return what a command said; one that hangs fails the test."""
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert b"Traceback" not in err, err.decode()
    return Result(process.returncode or 0, out.decode(), err.decode())


async def command(mesh: Mesh, *arguments: str) -> Result:
    """Run safeapply against a mesh."""
    return await ended(await started(mesh, *arguments))
