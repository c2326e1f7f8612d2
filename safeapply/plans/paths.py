"""Paths through choices of versions, the shortest first; the edges are asked for as they are needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import islice
from typing import Final, TypeAlias

__all__ = ["LONGER", "MOST_ALIKE", "Node", "shortest_paths"]

Node: TypeAlias = tuple[int, ...]
"""For each object the number of its version."""
MOST_ALIKE: Final = 32
"""So many paths of one length are found."""
LONGER: Final = 2
"""No path has more steps than the shortest and these."""

_Layer: TypeAlias = Mapping[Node, Sequence[Node]]
"""The nodes that a number of steps can lead to, each with those that the last step can come from."""
_Edges: TypeAlias = Callable[[Node], Iterable[Node]]


def shortest_paths(start: Node, end: Node, edges: _Edges, *, fewer_than: int) -> Iterator[Sequence[Node]]:
    """Yield paths, the shortest first; of equal length those first that change the fewest versions.

    Args:
        start: where all paths begin.
        end: where they end; no path passes it before.
        edges: the nodes that one step can lead to.
        fewer_than: how many steps are too many.
    """
    layers: list[_Layer] = [{start: ()}]
    known = {start}
    while end not in layers[-1]:
        if len(layers) == fewer_than or not layers[-1]:
            return
        # What was reached before is on no shortest path.
        layers.append(_next_layer(edges, layers[-1], known))
        known.update(layers[-1])
    yield from islice(_through(layers, end), MOST_ALIKE)
    yield from _longer(start, end, edges, range(len(layers), min(fewer_than, len(layers) + LONGER)))


def _longer(start: Node, end: Node, edges: _Edges, lengths: range) -> Iterator[Sequence[Node]]:
    layers: list[_Layer] = [{start: ()}]
    while len(layers) < lengths.stop:
        passing = {node: before for node, before in layers[-1].items() if node != end}
        layers.append(_next_layer(edges, passing, {start}))
        if end in layers[-1] and len(layers) - 1 in lengths:
            yield from islice(_through(layers, end), MOST_ALIKE)


def _next_layer(edges: _Edges, layer: _Layer, without: Collection[Node]) -> _Layer:
    found: dict[Node, list[Node]] = defaultdict(list)
    for node in layer:
        for following in edges(node):
            if following not in without:
                found[following].append(node)
    return found


def _through(layers: Sequence[_Layer], end: Node) -> Iterator[Sequence[Node]]:
    """Yield the paths through all layers, from the end backwards, by what is written on the whole of each."""
    fewest = _fewest(layers)
    waiting: list[tuple[int, int, tuple[Node, ...]]] = [(fewest[-1][end], 0, (end,))]
    while waiting:
        _, written, path = heappop(waiting)
        place = len(layers) - len(path)
        if place == 0:
            yield path
        for before in layers[place][path[0]]:
            now = written + _writes(before, path[0])
            heappush(waiting, (now + fewest[place - 1][before], now, (before, *path)))


def _fewest(layers: Sequence[_Layer]) -> Sequence[Mapping[Node, int]]:
    """Return how few writes lead to each node of each layer."""
    found: list[Mapping[Node, int]] = [dict.fromkeys(layers[0], 0)]
    for layer in layers[1:]:
        nearer = found[-1]
        found.append({node: min(nearer[b] + _writes(b, node) for b in before) for node, before in layer.items()})
    return found


def _writes(before: Node, after: Node) -> int:
    return sum(a != b for a, b in zip(before, after, strict=True))
