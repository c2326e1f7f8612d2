"""Paths through choices of versions come the shortest first, and none is left out (DESIGN 4.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, pairwise

from hypothesis import given
from hypothesis import strategies as st

from safeapply.plans.paths import LONGER, MOST_ALIKE, Node, shortest_paths

START, END = (0, 0), (1, 1)
NODES = [(first, second) for first in range(3) for second in range(3)]
graphs = st.dictionaries(st.sampled_from(NODES), st.lists(st.sampled_from(NODES), unique=True, max_size=4))


def written(path: tuple[Node, ...]) -> int:
    """Return how many versions change on a path."""
    return sum(a != b for before, after in pairwise(path) for a, b in zip(before, after, strict=True))


def every_path(graph: Mapping[Node, list[Node]], most: int) -> Iterator[tuple[Node, ...]]:
    """Yield all paths of up to so many steps that touch start and end only there, by trying everything."""
    waiting: list[tuple[Node, ...]] = [(START,)]
    while waiting:
        path = waiting.pop()
        if path[-1] == END:
            yield path
        elif len(path) <= most:
            waiting.extend((*path, node) for node in graph.get(path[-1], []) if node != START)


@given(graph=graphs, fewer_than=st.integers(1, 6))
def test_the_shortest_come_first_and_of_these_the_ones_that_write_least(
    graph: dict[Node, list[Node]], fewer_than: int
) -> None:
    """Against all paths that there are: the same in the same order, as far as they are looked for."""
    there = sorted((len(path), written(path)) for path in every_path(graph, fewer_than - 1))
    shortest = there[0][0] if there else 0
    found = list(shortest_paths(START, END, lambda node: graph.get(node, []), fewer_than=fewer_than))
    expected = [
        one
        for length in range(shortest, shortest + LONGER + 1)
        for one in islice((each for each in there if each[0] == length), MOST_ALIKE)
    ]
    assert [(len(path), written(tuple(path))) for path in found] == expected
    assert len(set(map(tuple, found))) == len(found)
    assert all(after in graph.get(before, []) for path in found for before, after in pairwise(path))
