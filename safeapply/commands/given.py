"""Manifests as scripts have them: paths, YAML text, objects as dicts, or several of these."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike, fspath
from typing import Any, TypeAlias

from safeapply.commands.inputs import Files
from safeapply.errors import UsageError
from safeapply.resources.sources import SourceText

__all__ = ["Manifests", "given"]

Manifest: TypeAlias = "str | PathLike[str] | Mapping[str, Any]"
Manifests: TypeAlias = "Manifest | Iterable[Manifest]"
"""A path, or YAML text (a string with a line break), or an object as a mapping, or any number of these."""


def given(manifests: Manifests, *, recursive: bool, namespace: str | None) -> Files:
    """Return manifests as ``-f`` names them; nothing is read yet.

    Faults in a text or an object name it ``manifests[INDEX]``.

    Raises:
        UsageError: something is no manifest.
    """
    each = list(_each(manifests))
    paths = tuple(one for one in each if isinstance(one, str))
    texts = tuple(one for one in each if isinstance(one, SourceText))
    return Files(paths, recursive, namespace, texts)


def _each(manifests: Manifests) -> Iterator[str | SourceText]:
    many: Iterable[Manifest] = (manifests,) if isinstance(manifests, str | PathLike | Mapping) else manifests
    for index, one in enumerate(many):
        name = f"manifests[{index}]"
        match one:
            case str() if "\n" in one:
                yield SourceText(name, one)
            case str() | PathLike():
                yield fspath(one)
            case Mapping():
                yield SourceText(name, _written(name, one))
            case _:
                raise UsageError(f"{name} is a {type(one).__name__}: give paths, YAML text or mappings")


def _written(name: str, document: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(document), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}: not what JSON can say: {error}") from error
