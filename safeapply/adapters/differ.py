"""Run the program that shows differences: ``diff``, or what ``KUBECTL_EXTERNAL_DIFF`` names."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from safeapply.errors import UsageError

__all__ = ["show_differences"]

VARIABLE = "KUBECTL_EXTERNAL_DIFF"
DIFF = ("diff", "-u", "-N")
DIFFERENT = 1


def show_differences(before: Mapping[str, str], after: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    """Let the program print what differs between two directories of files; tell whether anything does.

    Raises:
        UsageError: there is no such program, or it failed.
    """
    command = _command(environ)
    with (
        tempfile.TemporaryDirectory(prefix="LIVE-") as live,
        tempfile.TemporaryDirectory(prefix="MERGED-") as merged,
    ):
        for directory, files in ((live, before), (merged, after)):
            for name, text in files.items():
                # A name may hold a colon, but no slash (RFC 1123, path segment names).
                Path(directory, name).write_text(text, encoding="utf-8")
        return _differs((*command, live, merged))


def _command(environ: Mapping[str, str]) -> Sequence[str]:
    try:
        return shlex.split(environ.get(VARIABLE, "")) or DIFF
    except ValueError as error:
        raise UsageError(f"{VARIABLE}: {error}; write a program with its options") from error


def _differs(command: Sequence[str]) -> bool:
    try:
        code = subprocess.run(command, check=False).returncode  # noqa: S603  the user names it
    except OSError as error:
        raise UsageError(
            f"{command[0]}: {error.strerror}; install it, or name another program in {VARIABLE}"
        ) from error
    if code > DIFFERENT or code < 0:
        raise UsageError(f"{command[0]} failed with exit code {code}")
    return code == DIFFERENT
