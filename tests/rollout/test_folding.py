"""Long names on narrow lines: nothing important is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from safeapply.rollout.folding import folded, listed, shortened

NAMES = st.text(alphabet="abcdef.-|/", min_size=1, max_size=60)
WIDTHS = st.integers(20, 120)


def test_a_name_is_folded_where_a_part_of_it_ends() -> None:
    """Not in the middle of a word, and only where it would not fit."""
    name = "outbound|9080|stable|reviews.default.svc.cluster.local"
    assert folded(f"{name} active", 40, rest="  ") == [
        "outbound|9080|stable|reviews.default.",
        "  svc.cluster.local active",
    ]
    assert folded(f"{name} active", 80) == [f"{name} active"]


@given(st.lists(NAMES, min_size=1, max_size=6), WIDTHS)
def test_folding_loses_no_character(names: list[str], width: int) -> None:
    """For all names and widths."""
    assert "".join("".join(folded(" ".join(names), width)).split()) == "".join(names)


def test_both_ends_of_a_reason_stay() -> None:
    """The end says what is the matter."""
    assert shortened("cluster outbound|9080|v2|reviews is still warming", 31) == "cluster outboun…s still warming"


@given(st.lists(NAMES, min_size=1, max_size=30), WIDTHS)
def test_what_is_shortened_fits_and_every_proxy_is_counted(names: list[str], width: int) -> None:
    """Named or among the others."""
    told = listed(tuple(names), width)
    assert len(told) <= width
    assert len(shortened(names[0], width)) <= width
    shown, _, more = told.partition(" and ")
    assert len(shown.split(", ")) + (int(more.split()[0]) if more else 0) == len(names)
