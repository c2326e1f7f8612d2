"""Host names as Istio reads them (ISTIO.md 2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeapply.istio.hosts import covering, covers, most_specific, overlap, resolve
from safeapply.resources.objects import Namespace
from safeapply.xds.names import Host


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reviews", "reviews.shop.svc.cluster.local"),
        ("reviews.prod", "reviews.prod"),
        ("www.example.com", "www.example.com"),
        ("*", "*"),
        ("", ""),
    ],
)
def test_only_a_name_without_a_dot_is_short(name: str, expected: str) -> None:
    """ISTIO.md 2.1: ``reviews.prod`` is not reviews in prod, which is a trap."""
    assert resolve(name, Namespace("shop"), domain="cluster.local") == expected


@pytest.mark.parametrize(
    ("pattern", "host", "covered"),
    [
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "*.a.example.com", True),
        ("*.a.example.com", "*.example.com", False),
        ("*example.com", "example.com", True),
        ("*ample.com", "example.com", True),
        ("*", "anything", True),
        ("www.example.com", "*.example.com", False),
    ],
)
def test_a_wildcard_covers_the_names_with_its_suffix(pattern: str, host: str, *, covered: bool) -> None:
    """ISTIO.md 2.4: what follows the star is a suffix."""
    assert covers(Host(pattern), Host(host)) is covered


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*", "*.example.com", "www.example.com"], "www.example.com"),
        (["*", "*.example.com", "*.com"], "*.example.com"),
        (["*.com", "*"], "*.com"),
        (["other.example.com"], None),
    ],
)
def test_exact_goes_before_the_longest_wildcard(patterns: list[str], expected: str | None) -> None:
    """ISTIO.md 2.4."""
    assert most_specific([Host(one) for one in patterns], Host("www.example.com")) == expected


def test_two_hosts_have_the_narrower_one_in_common() -> None:
    """ISTIO.md 4.3: a route's host has to intersect the server's."""
    assert overlap(Host("*.example.com"), Host("www.example.com")) == "www.example.com"
    assert overlap(Host("www.example.com"), Host("*")) == "www.example.com"
    assert overlap(Host("www.example.com"), Host("*.example.org")) is None


HOSTS = st.text(alphabet="ab.*", min_size=1, max_size=6).map(Host)


@given(HOSTS, HOSTS)
def test_what_could_cover_a_host_is_what_covers_it(pattern: Host, host: Host) -> None:
    """For every pattern: so that one can be looked up, rather than looked for."""
    assert (pattern in set(covering(host))) == covers(pattern, host)
