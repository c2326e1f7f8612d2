"""Versions laid over a mesh: for all mappings the same as a copy, whatever is laid over what."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from safeapply.istio.overlay import Overlay

KEYS = st.integers(0, 6)
LAYER = st.dictionaries(KEYS, st.text(max_size=2))


@given(LAYER, st.lists(LAYER, max_size=3))
def test_layers_are_a_copy_with_the_last_word_on_top(base: dict[int, str], layers: list[dict[int, str]]) -> None:
    """Look-ups, keys and size are those of the merged dictionary, and nothing below is changed."""
    copy, laid, before = dict(base), Overlay({}, base), dict(base)
    for layer in layers:
        copy, laid = {**copy, **layer}, Overlay(layer, laid)
    assert dict(laid) == copy
    assert len(laid) == len(copy)
    assert [laid.get(key) for key in range(8)] == [copy.get(key) for key in range(8)]
    assert laid.get(7, "none") == "none"
    assert (7 in laid) is False
    assert base == before
