"""Reads what ``-f`` names: files, directories, standard input. What the bytes mean is not decided here.

The rules are kubectl's: any file that is named is read, whatever it is called; of a directory only ``.yaml``,
``.yml`` and ``.json``, in the order of their names; below it only with ``-R``, and never through a link to a
directory, so that no loop can be entered.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from safeapply.adapters.bounded import read_file, read_stream
from safeapply.errors import Fault, ManifestsError
from safeapply.resources.sources import STDIN, SourceText

__all__ = ["read_sources"]

EXTENSIONS: Final = (".json", ".yaml", ".yml")


def read_sources(paths: Sequence[str], *, recursive: bool, stdin: BinaryIO | None) -> tuple[SourceText, ...]:
    """Return the texts of all paths, each file once, in the order given.

    Raises:
        ManifestsError: naming every path that is missing, empty or not readable.
    """
    seen: set[str] = set()
    results = [result for path in paths for result in _read(path, recursive=recursive, stdin=stdin, seen=seen)]
    faults = tuple(result for result in results if isinstance(result, Fault))
    if faults:
        raise ManifestsError(faults)
    return tuple(result for result in results if isinstance(result, SourceText))


def _read(path: str, *, recursive: bool, stdin: BinaryIO | None, seen: set[str]) -> Iterator[SourceText | Fault]:
    """Read what one ``-f`` names; ``seen`` holds the real paths that were read before."""
    if path.startswith(("http://", "https://")):
        yield Fault(path, 0, f"URLs are not supported yet; try: curl -fsSL {path} | safeapply ... -f -")
        return
    if "\0" in path:
        yield Fault(path.replace("\0", "\\0"), 0, "no name of a file holds a zero byte")
        return
    for name in _names(path, recursive=recursive):
        if isinstance(name, Fault):
            yield name
            continue
        real = name if name == STDIN else os.path.realpath(name)
        if real not in seen:
            seen.add(real)
            yield _text(name, stdin)


def _names(path: str, *, recursive: bool) -> Iterator[str | Fault]:
    if path == STDIN or not Path(path).is_dir():
        yield path
        return
    faults: list[Fault] = []
    names = list(_below(path, recursive=recursive, faults=faults))
    yield from names
    yield from faults
    if not names and not faults:
        advice = "" if recursive else "; pass -R to read the directories below it too"
        yield Fault(path, 0, f"the directory holds no {', '.join(EXTENSIONS)} file{advice}")


def _below(root: str, *, recursive: bool, faults: list[Fault]) -> Iterator[str]:
    """Yield the manifests of a directory, sorted by path, noting the directories that cannot be listed."""

    def note(error: OSError) -> None:
        faults.append(Fault(str(error.filename), 0, f"the directory cannot be read: {error.strerror}"))

    for folder, folders, files in os.walk(root, onerror=note):
        folders.sort()
        if not recursive:
            folders.clear()
        yield from (os.path.join(folder, name) for name in sorted(files) if name.endswith(EXTENSIONS))  # noqa: PTH118 - keeps "./" as the user wrote it


def _text(name: str, stdin: BinaryIO | None) -> SourceText | Fault:
    if name == STDIN:
        return _from_stdin(stdin)
    try:
        return SourceText(name, read_file(name))
    except FileNotFoundError:
        return Fault(name, 0, "the path does not exist; check the -f flags")
    except OSError as error:
        return Fault(name, 0, f"the file cannot be read: {error.strerror or error}")


def _from_stdin(stdin: BinaryIO | None) -> SourceText | Fault:
    if stdin is None:
        return Fault(STDIN, 0, "standard input is closed; name files instead")
    try:
        return SourceText(STDIN, read_stream(stdin))
    except OSError as error:
        return Fault(STDIN, 0, f"standard input cannot be read: {error.strerror or error}")
