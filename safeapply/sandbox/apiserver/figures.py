"""Whole numbers among the parameters of a request. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from safeapply.sandbox.apiserver.statuses import bad_request

__all__ = ["figure"]

MOST_DIGITS: Final = 18
"""What 64 bits hold for certain."""


def figure(query: Mapping[str, str], name: str) -> int:
    """Return what a parameter says; 0 where it says nothing.

    Raises:
        StatusError: 400, where it is no whole number, or too large a one.
    """
    text = query.get(name) or "0"
    if not text.lstrip("-").isdecimal() or len(text) > MOST_DIGITS:
        raise bad_request(f'strconv.ParseInt: parsing "{text[:MOST_DIGITS]}": invalid syntax')
    return max(int(text), 0)
