"""Matches in, requests out."""

from __future__ import annotations

import re

import pytest
import yaml

from safeapply.sandbox.samples import HttpRequest, sample_regex, sample_request

BASE = HttpRequest("reviews:9080")


@pytest.mark.parametrize(
    ("match", "request_line"),
    [
        ("{}", "GET http://reviews:9080/"),
        ("{uri: {exact: /a}}", "GET http://reviews:9080/a"),
        ("{uri: {prefix: /api/}}", "GET http://reviews:9080/api/"),
        ("{uri: {regex: '/v[0-9]+/items'}}", "GET http://reviews:9080/v0/items"),
        ("{headers: {end-user: {exact: jason}}}", "GET http://reviews:9080/ end-user=jason"),
        ("{headers: {x-debug: {}}}", "GET http://reviews:9080/ x-debug=x"),
        ("{headers: {b: {prefix: y}, a: {exact: x}}}", "GET http://reviews:9080/ a=x b=y"),
        ("{method: {exact: POST}, uri: {exact: /a}}", "POST http://reviews:9080/a"),
        ("{authority: {exact: shop.example}}", "GET http://shop.example/"),
        ("{queryParams: {q: {exact: 'a b'}}}", "GET http://reviews:9080/?q=a+b"),
        ("{withoutHeaders: {x: {exact: y}}}", "GET http://reviews:9080/"),
    ],
)
def test_an_example_for_each_kind_of_match(match: str, request_line: str) -> None:
    """What the match names is in the request; what it leaves open has the plainest value."""
    assert str(sample_request(yaml.safe_load(match), BASE)) == request_line


def test_a_regular_expression_beyond_the_sampler_gives_no_request() -> None:
    """No example is better than one that the route does not match."""
    assert sample_request({"uri": {"regex": "(?=/a)(?!/b).*"}}, BASE) is None
    assert sample_request({"headers": {"a": {"regex": "("}}}, BASE) is None


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(.*?;)?(user=jason)(;.*)?$",
        r"/api/v\d+/[^/]+/items\.json",
        r"(GET|HEAD)",
        r"v1|v2",
        r".*\.(png|jpe?g)$",
        r"[a-f0-9]{8}",
        r"\w+\s\d+",
        r"(?:a|b)+(?P<name>c)*",
    ],
)
def test_regular_expressions_match_their_samples(pattern: str) -> None:
    """A sample is matched in full, as Envoy demands it of a uri."""
    sample = sample_regex(pattern)
    assert sample is not None
    assert re.fullmatch(pattern, sample)


def test_the_bytes_of_a_request() -> None:
    """A request without a body says so where the method would make the server wait for one."""
    assert HttpRequest("h", "POST", "/p", (("a", "b"),)).payload == (
        b"POST /p HTTP/1.1\r\nhost: h\r\na: b\r\ncontent-length: 0\r\n\r\n"
    )
    assert HttpRequest("h").payload == b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"
