"""What ``-k`` names, built by kustomize itself: its own program, or the one in kubectl."""

from __future__ import annotations

import shutil
import subprocess

from safeapply.errors import Fault, ManifestsError, UsageError
from safeapply.resources.sources import SourceText

__all__ = ["kustomized"]

PROGRAMS = (("kustomize", "build"), ("kubectl", "kustomize"))


def kustomized(directory: str) -> SourceText:
    """Return the manifests of a kustomization.

    Raises:
        UsageError: no program can build it.
        ManifestsError: it cannot be built; in the program's own words.
    """
    for program in PROGRAMS:
        if shutil.which(program[0]):
            built = subprocess.run(  # noqa: S603  a directory that the user names
                (*program, directory), capture_output=True, stdin=subprocess.DEVNULL, check=False
            )
            if built.returncode:
                raise ManifestsError((Fault(directory, 0, _reason(built.stderr)),))
            return SourceText(f"{' '.join(program)} {directory}", built.stdout)
    raise UsageError(f"-k {directory}: neither kustomize nor kubectl is on the PATH; install one of them")


def _reason(said: bytes) -> str:
    words = " ".join(said.decode(errors="replace").split()).removeprefix("Error: ").removeprefix("error: ")
    return f"cannot be built ({words})"
