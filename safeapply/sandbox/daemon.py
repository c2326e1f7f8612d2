"""A mesh in the background: the process that ``sandbox up`` leaves behind.

It holds the lock of its directory as long as it lives, says there that it serves, and ends on SIGTERM, or when
its directory is taken away from under it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safeapply.errors import SafeApplyError
from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.identity import identity_of
from safeapply.sandbox.interrupts import InterruptedBySignal, run_until_signalled
from safeapply.sandbox.loading import read_documents
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.states import State, directory_of, lock, write_kubeconfig, write_state

__all__ = ["main"]

LOOK_SECONDS = 0.5


def main() -> None:
    """Run the mesh that the first argument describes, as JSON, until told to end."""
    order = json.loads(sys.argv[1])
    directory = directory_of(order["name"])
    try:
        with lock(directory):
            run_until_signalled(_serve(order, directory))
    except SafeApplyError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except InterruptedBySignal:
        sys.exit(0)


async def _serve(order: dict[str, Any], directory: Path) -> None:
    scene = Scene(
        live=read_documents(map(Path, order["live"])),
        proxies=order["proxies"],
        seed=order["seed"],
        delays=Delays(lag=Span.parse(order["lag"]), push=Span.parse(order["push"])),
        remotes=tuple(order["remotes"]),
        mutual_tls=order["mutual_tls"],
    )
    async with Mesh(scene) as mesh:
        kubeconfig = write_kubeconfig(directory, mesh.kubeconfig.read_text())
        write_state(directory, _state(order["name"], mesh, kubeconfig))
        while kubeconfig.exists() and mesh.run.exists():  # noqa: ASYNC110 - files have no events
            await asyncio.sleep(LOOK_SECONDS)


def _state(name: str, mesh: Mesh, kubeconfig: Path) -> State:
    scene = mesh.scene
    return State(
        name=name,
        pid=os.getpid(),
        process=identity_of(os.getpid()),
        server=mesh.api.url,
        kubeconfig=str(kubeconfig),
        run=str(mesh.run),
        proxies=len(mesh.proxies),
        replicas=scene.replicas,
        seed=scene.seed,
        lag=str(scene.delays.lag),
        push=str(scene.delays.push),
        since=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


if __name__ == "__main__":
    main()
