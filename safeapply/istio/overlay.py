"""Some versions of objects over those of a whole mesh: a view, not a copy.

A step touches a few objects of a mesh that may hold tens of thousands. Every look-up of the evaluator comes through
here, so each asks two dictionaries once, whatever is laid over what; ``ChainMap.get`` asks every map twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar, overload

__all__ = ["Overlay"]

Key = TypeVar("Key")
Value = TypeVar("Value")
Default = TypeVar("Default")


class Overlay(Mapping[Key, Value]):
    """A mapping with other values for some keys; None is no value."""

    __slots__ = ("base", "over")

    def __init__(self, over: Mapping[Key, Value], base: Mapping[Key, Value]) -> None:
        self.over: Mapping[Key, Value] = {**base.over, **over} if isinstance(base, Overlay) else dict(over)
        self.base: Mapping[Key, Value] = base.base if isinstance(base, Overlay) else base

    def __getitem__(self, key: Key) -> Value:
        """Return the value that is on top."""
        found = self.over.get(key)
        return self.base[key] if found is None else found

    @overload
    def get(self, key: Key, /) -> Value | None: ...
    @overload
    def get(self, key: Key, /, default: Value | Default) -> Value | Default: ...
    def get(self, key: Key, /, default: object = None) -> object:
        """Return the value that is on top, without the detour over an exception."""
        found = self.over.get(key)
        return self.base.get(key, default) if found is None else found

    def __iter__(self) -> Iterator[Key]:
        """Yield each key once."""
        return iter({**self.base, **self.over})

    def __len__(self) -> int:
        """Return how many keys there are."""
        return len({**self.base, **self.over})
