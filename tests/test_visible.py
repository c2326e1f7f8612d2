"""Words from outside are shown as they are, and do nothing: to terminals, to logs, and to CI systems."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeapply.errors import (
    BarrierTimeoutError,
    ClusterChangedError,
    ClusterError,
    ClusterUnreachableError,
    Fault,
    ForbiddenError,
    LockedError,
    ManifestsError,
    Missing,
    ProxyError,
    RefusedError,
    RejectedError,
    RolledBackError,
    SafeApplyError,
    StalePlanError,
    UsageError,
    WorkloadFailedError,
)
from safeapply.visible import indented, visible, visible_json, visible_lines

HOSTILE = (
    "\x1b[2J\x1b[1;1H",
    "\x1b]0;title\x07",
    "\x9b31m",
    "\x00\x08\x7f\x85",
    "\u202eevil\u2066\u200b\u200d\ufeff",
    "\u2028\u2029",
    "\U000e0041\ufe0f\u3164",
    "\ud800",
    "\n::error file=a::pwned",
    "\n  ::stop-commands::x",
    "\r::add-mask::x",
    "##vso[task.setvariable variable=a]b",
    "##[error]x",
    "##teamcity[buildStatus text='x']",
    "\nApply this plan? [y/N]: ",
    "\nerror: another",
)
WORDS = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=5) | st.sampled_from((":", "#", "##", "::", " "))).map(
    "".join
)
COMMANDS = re.compile(r"^\s*::[a-z-]+(\s[^:]*)?::|##[A-Za-z]*\[", re.MULTILINE)


def harmless(text: str) -> None:
    """Hold a text against what terminals and CI systems act on."""
    for line in text.split("\n"):
        assert line.isprintable(), ascii(line)
    assert not COMMANDS.search(text), ascii(text)


@given(WORDS)
def test_nothing_gets_through(words: str) -> None:
    """On one line; and once more changes nothing."""
    shown = visible(words)
    harmless(shown)
    assert "\n" not in shown
    assert visible(shown) == shown


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="#:")))
def test_ordinary_words_stay_as_they_are(words: str) -> None:
    """Nobody has to get used to anything."""
    assert visible(words) == words


@pytest.mark.parametrize(
    "words",
    ["caf\u00e9 \u4f60\u597d", "a::b", "std::vector<int>", "::1", "fe80::1 ::", "issue #12", "## heading [1]"],
)
def test_what_only_looks_like_it_stays(words: str) -> None:
    """Letters of other alphabets, addresses, and signs that no system takes for a command."""
    assert visible(words) == words


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\u202eb", r"a\u202eb"),
        ("a\U000e0041b", r"a\U000e0041b"),
        ("a\r\n\tb", r"a\r\n\tb"),
        ("::error::x", r"\x3a:error::x"),
        ("a ##vso[x]", r"a \x23#vso[x]"),
    ],
)
def test_what_is_hidden_is_shown_as_its_escape(words: str, shown: str) -> None:
    """So that whoever reads it can look for it."""
    assert visible(words) == shown


@given(WORDS)
def test_lines_of_ours_stay_lines(words: str) -> None:
    """Where the line breaks are ours."""
    shown = visible_lines(words)
    harmless(shown)
    assert shown.count("\n") == words.count("\n")


@given(WORDS)
def test_lines_of_others_never_begin_one(words: str) -> None:
    """They stand in, below the first."""
    shown = indented(words)
    harmless(shown)
    assert all(not line or line.startswith("  ") for line in shown.split("\n")[1:])


@given(
    st.recursive(WORDS, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner)), st.sampled_from((None, 2))
)
def test_json_says_the_same(document: object, indent: int | None) -> None:
    """Other escapes, the same text."""
    shown = visible_json(json.dumps(document, ensure_ascii=False, indent=indent))
    harmless(shown)
    assert json.loads(shown) == json.loads(json.dumps(document))


@pytest.mark.parametrize("words", HOSTILE)
def test_no_error_passes_them_on(words: str) -> None:
    """Whatever it was made of; and no line of it begins with them."""
    errors: tuple[SafeApplyError, ...] = (
        UsageError(f"the file {words} is none"),
        ManifestsError((Fault(f"a{words}.yaml", 1, f"metadata.name: {words}"),)),
        ClusterError(f"the API server said {words}"),
        ClusterUnreachableError(words),
        ForbiddenError([Missing("get", words, "default", words, words)], words),
        RejectedError(f"configmap/{words}", f"admission webhook denied: {words}"),
        ClusterChangedError("configmap/a", words, [words]),
        StalePlanError([words]),
        ProxyError("web.default", words),
        BarrierTimeoutError("the barrier did not open", words, [f"web.default: {words}"]),
        WorkloadFailedError("deployment default/web", words),
        LockedError(f"{words} is rolling out"),
        RefusedError((), f"refused: {words}"),
        RolledBackError(ClusterError(words)),
    )
    begun = words.strip().removeprefix("\n")[:8]
    for error in errors:
        harmless(str(error))
        following = str(error).split("\n")[1:]
        assert not any(begun and line.startswith(begun) for line in following), str(error)
