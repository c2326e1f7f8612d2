"""Both of PyYAML's parsers give the same documents."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from safeapply.resources.building import Builder, UnreadableError, events_of

MANIFEST = """\
kind: VirtualService
metadata: &m {name: reviews, 1: one}
copy: *m
spec:
  hosts: [reviews, "*.local"]
  text: |
    two
    lines
  empty:
"""


@pytest.mark.parametrize("pure", [False, True])
def test_values_and_lines_come_from_one_pass(*, pure: bool) -> None:
    """With libyaml and without."""
    ((value, line, lines),) = Builder(events_of(MANIFEST, pure=pure), first_line=10).documents()
    assert value == {
        "kind": "VirtualService",
        "metadata": {"name": "reviews", "1": "one"},
        "copy": {"name": "reviews", "1": "one"},
        "spec": {"hosts": ["reviews", "*.local"], "text": "two\nlines\n", "empty": None},
    }
    assert line == 10
    assert isinstance(lines, dict)
    assert {key: at for key, (at, _) in lines.items()} == {"kind": 10, "metadata": 11, "copy": 12, "spec": 13}
    assert lines["spec"][1] == {"hosts": (14, [(14, None), (14, None)]), "text": (15, None), "empty": (18, None)}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text("abyn1.-", max_size=3), below, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.dictionaries(st.text("ab", min_size=1, max_size=2), JSON, min_size=1, max_size=3))
def test_what_is_dumped_is_read_back(value: dict[str, object]) -> None:
    """Scalars are quoted, or tagged: PyYAML and Go do not agree on what plain ones mean."""
    text = yaml.safe_dump(value, allow_unicode=True, default_style='"', default_flow_style=False)
    ((read, _, _),) = Builder(events_of(text), first_line=1).documents()
    assert read == value


def test_libyaml_and_pure_python_refuse_the_same_depth() -> None:
    """The bound is ours, not the parser's."""
    for pure in (False, True):
        with pytest.raises(UnreadableError, match="deep"):
            list(Builder(events_of("[" * 300, pure=pure), first_line=1).documents())
