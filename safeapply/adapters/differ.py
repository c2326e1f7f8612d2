"""Run the program that shows differences: ``diff``, or what ``KUBECTL_EXTERNAL_DIFF`` names."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

from safeapply.errors import UsageError
from safeapply.resources.identifiers import is_path_segment

__all__ = ["show_differences"]

VARIABLE = "KUBECTL_EXTERNAL_DIFF"
DIFF = ("diff", "-u", "-N")
DIFFERENT = 1
LONGEST_NAME = 255
"""Bytes of a file's name; a group, a kind, a namespace and a name may together be longer."""
DIGEST = 16
"""Characters."""


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
            _write(directory, files)
        return _differs((*command, live, merged))


def _write(directory: str, files: Mapping[str, str]) -> None:
    """Write files into a directory that nothing else is in, and nowhere else.

    Raises:
        UsageError: a name would lead out of it, or be another's.
    """
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name, text in files.items():
            with os.fdopen(_created(opened, name), "w", encoding="utf-8") as file:
                file.write(text)
    finally:
        os.close(opened)


def _created(directory: int, name: str) -> int:
    if not is_path_segment(name):
        raise UsageError(f"{name!r} cannot be the name of a file; mend the kind or the name of the object")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return os.open(_fitting(name), flags, 0o600, dir_fd=directory)


def _fitting(name: str) -> str:
    """Return a name that a file system takes: of a longer one the begin, and what tells it from its like."""
    raw = name.encode()
    if len(raw) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(raw).hexdigest()[:DIGEST]
    return f"{raw[: LONGEST_NAME - DIGEST - 1].decode(errors='ignore')}.{digest}"


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
