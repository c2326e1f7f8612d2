"""Each command of the README is run as it stands, beside the files that it names, on a mesh of real Envoys."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from safeapply.sandbox.mesh import Mesh
from tests.mesh.command import EXAMPLE, PATIENCE, scene

README: Final = Path(__file__).parents[1] / "README.md"
ELSEWHERE: Final = {
    "make demo": "tests/sandbox run the demo; it takes minutes",
    "make test": "this is it",
    "pip install 'safeapply[sandbox]'": "tests/packaging install what is built; nothing is fetched here",
    "safeapply demo": "tests/sandbox run it, with fewer proxies",
    "cd examples/01-rename-a-subset": "tests/test_examples.py compares what the next line prints, to the letter",
    "safeapply plan --live live -f desired": "the same",
    "safeapply apply -f reviews/ --context west --context east": "tests/mesh/test_multicluster.py, on two clusters",
    "safeapply apply -f reviews/ --context west --context east --exclude 'east/*/*'": "the same",
    "safeapply apply -f reviews/ --context east --context west --exclude 'west/*/*'": "the same",
    "safeapply sandbox up": "tests/sandbox/mesh/test_background.py: it would outlive this test",
    "safeapply sandbox status": "the same",
    "safeapply sandbox down": "the same",
    "safeapply sandbox run --live live/ --proxies 10 --seed 1 -- kubectl apply --validate=false -f desired/": (
        "tests/sandbox/mesh/test_run.py, with fewer proxies"
    ),
}
"""Commands that are not run here, and where they are, or why not."""
DIFFERS: Final = "safeapply diff -f reviews/"
"""Ends with 1, because there are differences."""
ASKING: Final = frozenset({"safeapply apply -f reviews/", "safeapply delete -f reviews/", "safeapply rollback"})
"""Commands that ask on a terminal; without one they say so and write nothing."""


def blocks() -> Iterator[tuple[str, ...]]:
    """Yield the commands of each block that shows a terminal, without their comments."""
    for block in re.findall(r"^```console\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL):
        yield tuple(re.sub(r"\s+#\s.*$", "", line[2:]) for line in block.splitlines() if line.startswith("$ "))


SESSIONS: Final = tuple(block for block in blocks() if not set(block) <= set(ELSEWHERE))


def laid_out(directory: Path) -> None:
    """Put into a directory what the commands name: the first example, and v2 of it as two files."""
    for name in ("reviews", "shop", "desired"):
        shutil.copytree(EXAMPLE / "desired", directory / name)
    shutil.copytree(EXAMPLE / "live", directory / "live")
    (directory / "namespace.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
    (directory / "destinationrule.yaml").write_text(WITH_V2)
    (directory / "virtualservice.yaml").write_text(TO_V2)
    kubectl = directory / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(SHIM.format(kubectl=shutil.which("kubectl")))
    kubectl.chmod(0o755)


WITH_V2: Final = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {app: reviews}}]
"""
TO_V2: Final = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: v2}}]}]
"""
SHIM: Final = """#!/bin/sh
# The sandbox has no OpenAPI document to validate by.
case "$1" in apply) shift; exec {kubectl} apply --validate=false "$@";; *) exec {kubectl} "$@";; esac
"""


async def run(line: str, directory: Path, kubeconfig: Path) -> tuple[int, str]:
    """Return how a line ends in a shell, and what it says."""
    tools = os.pathsep.join((str(directory / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]))
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-o",
        "pipefail",
        "-c",
        line,
        cwd=directory,
        env={**os.environ, "PATH": tools, "KUBECONFIG": str(kubeconfig)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode or 0, out.decode()


def test_what_is_not_run_here_is_in_the_readme() -> None:
    """Each exception is a command that still stands there."""
    assert set(ELSEWHERE) | ASKING <= {line for block in blocks() for line in block}


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session[0])
async def test_the_commands_of_a_block_run_one_after_the_other(session: tuple[str, ...], tmp_path: Path) -> None:
    """As they stand, by paste: each ends with 0, or asks whom it may ask."""
    laid_out(tmp_path)
    async with Mesh(scene(proxies=2)) as mesh:
        await run_all(session, tmp_path, mesh.kubeconfig)


async def run_all(session: tuple[str, ...], directory: Path, kubeconfig: Path) -> None:
    """Run the commands of a block, and check how each ends."""
    code, said = await run("kubectl apply -f namespace.yaml", directory, kubeconfig)
    assert code == 0, said
    for line in session:
        code, said = await run(line, directory, kubeconfig)
        assert "Traceback" not in said, said
        if line in ASKING:
            # What was applied before by another line leaves nothing to ask about.
            assert (code, "give --yes" in said) in {(2, True), (0, False)}, (line, said)
        else:
            assert code == (1 if line == DIFFERS else 0), (line, said)
