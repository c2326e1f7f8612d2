"""One match covers another only if no request tells them apart: proven against requests made at random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from safeapply.checks.coverage import covers

WORDS = ["/", "/a", "/a/b", "/b", "a", "ab"]
STRINGS = st.sampled_from([{kind: word} for kind in ("exact", "prefix") for word in WORDS])
HEADERS = st.dictionaries(st.sampled_from(["x", "y"]), st.one_of(STRINGS, st.just({})), max_size=2)
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "uri": STRINGS,
        "method": STRINGS,
        "headers": HEADERS,
        "port": st.sampled_from([80, 81]),
        "sourceLabels": st.dictionaries(st.sampled_from(["app", "version"]), st.sampled_from("12"), max_size=2),
        "gateways": st.lists(st.sampled_from(["mesh", "shop"]), min_size=1, max_size=2),
    },
)
REQUESTS = st.fixed_dictionaries(
    {
        "uri": st.sampled_from([word for word in WORDS if word.startswith("/")]),
        "method": st.sampled_from(WORDS),
        "headers": st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(WORDS), max_size=2),
        "port": st.sampled_from([80, 81]),
        "labels": st.dictionaries(st.sampled_from(["app", "version"]), st.sampled_from("12"), max_size=2),
        "gateway": st.sampled_from(["mesh", "shop"]),
    }
)


def text(wanted: Mapping[str, str], value: str | None) -> bool:
    """Tell whether a value is what a string match wants."""
    if value is None:
        return False
    return value == wanted.get("exact", value) and value.startswith(wanted.get("prefix", ""))


def meets(request: Mapping[str, Any], match: Mapping[str, Any]) -> bool:
    """Tell whether a request meets a match: the meaning that coverage is about, written down once more."""
    return (
        all(text(match[one], request[one]) for one in ("uri", "method") if one in match)
        and all(text(wanted, request["headers"].get(name)) for name, wanted in match.get("headers", {}).items())
        and match.get("port", request["port"]) == request["port"]
        and match.get("sourceLabels", {}).items() <= request["labels"].items()
        and request["gateway"] in match.get("gateways", [request["gateway"]])
    )


@given(earlier=MATCHES, later=MATCHES, request=REQUESTS)
def test_what_is_covered_leaves_no_request(
    earlier: Mapping[str, Any], later: Mapping[str, Any], request: Mapping[str, Any]
) -> None:
    """Whatever meets the later match meets the earlier one, too."""
    if covers(earlier, later) and meets(request, later):
        assert meets(request, earlier)


@given(match=MATCHES)
def test_every_match_covers_itself(match: Mapping[str, Any]) -> None:
    """And one without a condition covers all."""
    assert covers(match, match)
    assert covers({}, match)


def test_what_is_not_known_is_not_covered() -> None:
    """Regular expressions are compared by their text, and case counts."""
    assert not covers({"uri": {"regex": "/a.*"}}, {"uri": {"prefix": "/a"}})
    assert covers({"uri": {"regex": "/a.*"}}, {"uri": {"regex": "/a.*"}, "port": 80})
    assert not covers({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/a"}, "ignoreUriCase": True})
    assert covers({"sniHosts": ["*.example"]}, {"sniHosts": ["shop.example"]})
    assert not covers({"sniHosts": ["shop.example"]}, {"sniHosts": ["*.example"]})
