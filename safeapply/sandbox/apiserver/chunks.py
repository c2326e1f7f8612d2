"""Lists in parts: what ``limit`` cuts off, and ``continue`` goes on with. Pure.

All parts of a list are of one version, as if it had been answered whole. A token says which version that is, and
after which object to go on.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from safeapply.resources.objects import Document
from safeapply.sandbox.apiserver.figures import figure
from safeapply.sandbox.apiserver.statuses import bad_request

__all__ = ["Part", "part_of"]


_PRESENT: Final = -1
"""The version of a token that goes on with whatever there is."""


class _Token(msgspec.Struct, frozen=True):
    """What a client sends back as it got it."""

    rv: int
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Part:
    """What a client wants of a list."""

    limit: int
    """The most objects to answer; 0 for all."""
    version: int | None = None
    """The version of the parts before; None for the present."""
    after: tuple[str, str] = ("", "")
    """Namespace and name of the last object of the part before."""

    @property
    def goes_on_anyway(self) -> str:
        """The token of the same part of the list as it is when it is read."""
        return _written(_Token(_PRESENT, *self.after))

    def cut(self, documents: Sequence[Document], version: int) -> tuple[Sequence[Document], Mapping[str, Any]]:
        """Return the objects of this part, and the metadata of the list that they make."""
        rest = [one for one in documents if _place(one) > self.after] if any(self.after) else documents
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if not self.limit or len(rest) <= self.limit:
            return rest, metadata
        chosen = rest[: self.limit]
        metadata["continue"] = _written(_Token(version, *_place(chosen[-1])))
        return chosen, metadata | {"remainingItemCount": len(rest) - self.limit}


def part_of(query: Mapping[str, str]) -> Part:
    """Return which part of a list a query is about.

    Raises:
        StatusError: 400, where the limit is no figure, or the token not one of ours.
    """
    limit, token = figure(query, "limit"), query.get("continue")
    if not token:
        return Part(limit)
    try:
        said = msgspec.json.decode(base64.urlsafe_b64decode(token), type=_Token)
    except ValueError as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    return Part(limit, None if said.rv == _PRESENT else said.rv, (said.namespace, said.name))


def _written(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()


def _place(document: Document) -> tuple[str, str]:
    return document["metadata"].get("namespace", ""), document["metadata"]["name"]
