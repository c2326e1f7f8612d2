"""Manifests of a directory, read plainly: YAML or JSON in, documents out.

The judge reads for itself; what safeapply makes of the same files is what is being judged. Only what the
embedded API server could not even store is refused here, by file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from safeapply.errors import SandboxError
from safeapply.resources.objects import Document
from safeapply.sandbox.probes import probes_of
from safeapply.sandbox.synthesis import gateways, missing

__all__ = ["files_of_command", "read_documents"]

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
FILE_OPTION = re.compile(r"(?:^|\s)(?:-f|--filename)[\s=]*([^\s;|&]+)")


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a timestamp is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read_documents(paths: Iterable[Path]) -> tuple[Document, ...]:
    """Return every object of these files and directories, in order of path.

    Raises:
        SandboxError: a path does not exist, or a file holds something else than Kubernetes objects.
    """
    return tuple(document for path in paths for file in _files(path) for document in _objects(file))


def files_of_command(command: Sequence[str]) -> tuple[Path, ...]:
    """Return the paths that a command names by ``-f``, inside ``sh -c`` too, as far as they exist."""
    paths = (Path(name.strip("'\"")) for name in FILE_OPTION.findall(" ".join(command)))
    return tuple(dict.fromkeys(path for path in paths if path.exists()))


def _files(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise SandboxError(f"{path}: no such file or directory")
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    else:
        yield path


def _objects(file: Path) -> Iterator[Document]:
    try:
        documents = list(yaml.load_all(file.read_bytes(), _Loader))
    except OSError as error:
        raise SandboxError(f"{file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SandboxError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    for document in documents:
        for found in _flat(document, file) if document is not None else ():
            _try_out(found, file)
            yield found


def _try_out(document: Document, file: Path) -> None:
    """Use an object alone the way that the mesh will use it, so that a misshapen one is told by its file."""
    try:
        missing((document,), ())
        gateways((document,))
        probes_of((document,))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        name = f"{document['kind']} {document['metadata']['name']}"
        raise SandboxError(f"{file}: {name} has a field of a wrong type ({error})") from error


def _flat(document: Any, file: Path) -> Iterator[Document]:  # noqa: ANN401 - whatever stood in the file
    match document:
        case {"kind": str(kind), "items": [*items]} if kind.endswith("List"):
            for item in items:
                yield from _flat(item, file)
        case {"apiVersion": str(), "kind": str(), "metadata": {"name": str()}}:
            yield document
        case _:
            raise SandboxError(f"{file}: a document without apiVersion, kind or metadata.name")
