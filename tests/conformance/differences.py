"""Where two answers differ, and which differences are permitted, by ``differences.yaml``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["Difference", "Permission", "differences", "permissions"]

LISTED: Final = Path(__file__).parent / "differences.yaml"
ABSENT: Final = "<absent>"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one answer that is not what the real server says."""

    scenario: str
    request: str
    field: str
    real: Any = dataclasses.field(compare=False)
    ours: Any = dataclasses.field(compare=False)

    def __str__(self) -> str:
        return (
            f"{self.scenario} / {self.request}\n    {self.field}\n      real: {self.real}\n      ours: {self.ours}"
        )


@dataclass(frozen=True, slots=True)
class Permission:
    """Differences that are as they are meant to be; patterns are those of file names."""

    reason: str
    scenario: str
    request: str
    field: str

    def covers(self, difference: Difference) -> bool:
        """Tell whether a difference is one of these."""
        return (
            fnmatchcase(difference.scenario, self.scenario)
            and fnmatchcase(difference.request, self.request)
            and fnmatchcase(difference.field, self.field)
        )


def permissions(path: Path = LISTED) -> tuple[Permission, ...]:
    """Return what is permitted, in the order of the file: a reason, and the places that it is good for."""
    return tuple(
        Permission(one["reason"], place.get("scenario", "*"), place.get("request", "*"), place["field"])
        for one in yaml.safe_load(path.read_text())
        for place in one["places"]
    )


def differences(
    scenario: str, real: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]
) -> Iterator[Difference]:
    """Yield where the answers of two servers to one scenario differ.

    Answers with different codes differ in their code alone: all else follows from that.
    """
    assert [one["request"] for one in real] == [one["request"] for one in ours], scenario
    for theirs, mine in zip(real, ours, strict=True):
        if theirs["code"] != mine["code"]:
            yield Difference(scenario, theirs["request"], "code", _said(theirs), _said(mine))
            continue
        for path, left, right in _different(theirs, mine, ""):
            yield Difference(scenario, theirs["request"], path, left, right)


def _said(answer: Mapping[str, Any]) -> str:
    body = answer["body"]
    words = [str(body[key]) for key in ("reason", "message") if body.get(key)] if isinstance(body, dict) else []
    return " ".join([str(answer["code"]), *words])


def _different(real: Any, ours: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    match real, ours:
        case dict(), dict():
            for key in sorted({*real, *ours}):
                inner = f"{path}.{key}" if path else key
                yield from _different(real.get(key, ABSENT), ours.get(key, ABSENT), inner)
        case list(), list() if len(real) == len(ours):
            for at, (left, right) in enumerate(zip(real, ours, strict=True)):
                yield from _different(left, right, f"{path}.{at}")
        case _ if real != ours or type(real) is not type(ours):
            yield path, real, ours
        case _:
            pass
