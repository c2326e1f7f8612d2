"""Requests that a route's match lets through: one example for each way in. Pure.

``HTTPMatchRequest`` is all of uri, method, authority, headers and query parameters; what it leaves open gets the
plainest value. A regular expression gets a text that it matches, or none where that is beyond a small sampler.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from safeapply.resources.objects import Document

__all__ = ["HttpRequest", "sample_regex", "sample_request"]

ESCAPED = 0xE000
"""Start of Unicode's private use area: where escaped characters are parked while operators are read."""

REWRITES = (
    (r"\\d", "1"),
    (r"\\[wDS]", "x"),
    (r"\\s", " "),
    (r"\[\^[^\]]+\]", "x"),
    (r"\[([^\]])[^\]]*\]", r"\1"),
    (r"\.", "x"),
    (r".\?", ""),
    (r".\*\??", ""),
    (r"\+\??", ""),
    (r"[\^$]", ""),
)
TIMES = re.compile(r"([^\]])\{(\d+)(?:,\d*)?\}")
GROUP = re.compile(r"\((?:\?:|\?P?<\w+>)?([^()|]*)(?:\|[^()]*)?\)[*+?]?")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One HTTP request, without a body."""

    authority: str
    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Return ``GET http://reviews:9080/ end-user=jason``."""
        said = "".join(f" {name}={value}" for name, value in self.headers)
        return f"{self.method} http://{self.authority}{self.path}{said}"

    @property
    def payload(self) -> bytes:
        """The bytes to send."""
        fields = (("host", self.authority), *self.headers)
        if self.method not in {"GET", "HEAD", "OPTIONS", "DELETE"}:
            fields = (*fields, ("content-length", "0"))
        head = f"{self.method} {self.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
        return head.encode() + b"\r\n"


def sample_request(match: Document, base: HttpRequest) -> HttpRequest | None:
    """Return a request that the match lets through, or None where no example could be made."""
    uri = _sample(match.get("uri"), "/")
    method = _sample(match.get("method"), base.method)
    authority = _sample(match.get("authority"), base.authority)
    headers = _samples(match.get("headers"))
    query = _samples(match.get("queryParams"))
    if uri is None or method is None or authority is None or headers is None or query is None:
        return None
    path = uri if uri.startswith("/") else f"/{uri}"
    merged = dict(base.headers) | headers
    return replace(
        base,
        authority=authority,
        method=method,
        path=f"{path}?{urlencode(query)}" if query else path,
        headers=tuple(sorted(merged.items())),
    )


def sample_regex(pattern: str) -> str | None:
    """Return a text that the regular expression matches in full, or None where the sampler finds none."""
    text = re.sub(r"\\([^dwsDWSbB])", lambda escaped: chr(ESCAPED + ord(escaped[1])), pattern)
    while (simpler := GROUP.sub(r"\1", text)) != text:
        text = simpler
    text = text.split("|")[0]
    for operator, plain in REWRITES:
        text = re.sub(operator, plain, TIMES.sub(lambda found: found[1] * int(found[2]), text))
    text = re.sub("[\ue000-\ue0ff]", lambda parked: chr(ord(parked[0]) - ESCAPED), text)
    try:
        return text if re.fullmatch(pattern, text) else None
    except re.error:
        return None


def _sample(match: object, otherwise: str) -> str | None:
    match match:
        case {"exact": str(value)} | {"prefix": str(value)}:
            return value
        case {"regex": str(pattern)}:
            return sample_regex(pattern)
        case _:
            return otherwise


def _samples(matches: object) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for name, match in matches.items() if isinstance(matches, Mapping) else ():
        value = _sample(match, "x")
        if value is None:
            return None
        if not name.startswith(":"):
            found[str(name)] = value
    return found
