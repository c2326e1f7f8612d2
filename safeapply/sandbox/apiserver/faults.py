"""What goes wrong between a client and the API server, drawn from a seed.

The server is asked for a fault with each request, and either does not carry it out, or does and loses the answer.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from typing import Final

from safeapply.sandbox.apiserver.statuses import StatusError

__all__ = ["STATUSES", "ApiFault", "ApiFaults"]


class ApiFault(Enum):
    """One way in which a request fails, or is late."""

    TOO_MANY = "429"
    """With Retry-After, as priority and fairness answers."""
    INTERNAL = "500"
    UNAVAILABLE = "503"
    CONFLICT = "409"
    """Of writes only: the storage says that somebody else was quicker, and nobody was."""
    RESET = "reset"
    """The connection breaks before the request is carried out."""
    LOST_ANSWER = "lost-answer"
    """The connection breaks after it."""
    LATE = "late"
    DROPPED_WATCH = "dropped-watch"
    """Of watches only: the stream ends without a word after a moment."""


RATES: Final[Mapping[ApiFault, float]] = {
    ApiFault.TOO_MANY: 0.02,
    ApiFault.INTERNAL: 0.02,
    ApiFault.UNAVAILABLE: 0.02,
    ApiFault.CONFLICT: 0.05,
    ApiFault.RESET: 0.02,
    ApiFault.LOST_ANSWER: 0.03,
    ApiFault.LATE: 0.05,
    ApiFault.DROPPED_WATCH: 0.3,
}
"""How probable each fault is for a request that it can befall."""
WRITES: Final = frozenset({"PUT", "PATCH", "POST", "DELETE"})
LATEST_SECONDS: Final = 0.5
STATUSES: Final[Mapping[ApiFault, StatusError]] = {
    ApiFault.TOO_MANY: StatusError(
        HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests", "too many requests, please try again later"
    ),
    ApiFault.INTERNAL: StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", "etcdserver: leader changed"),
    ApiFault.UNAVAILABLE: StatusError(
        HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", "the server is currently unable to handle the request"
    ),
    ApiFault.CONFLICT: StatusError(
        HTTPStatus.CONFLICT,
        "Conflict",
        "the object has been modified; please apply your changes to the latest version",
    ),
}


class ApiFaults:
    """Draws a fault, or none, for each request."""

    def __init__(self, seed: int, rates: Mapping[ApiFault, float] = RATES) -> None:
        self._random = random.Random(f"{seed}/api")  # noqa: S311 - a simulation
        self._rates = rates
        self.drawn: list[ApiFault] = []

    def draw(self, method: str, *, watch: bool) -> ApiFault | None:
        """Return what goes wrong with a request."""
        for fault, rate in self._rates.items():
            if self._befalls(fault, method, watch=watch) and self._random.random() < rate:
                self.drawn.append(fault)
                return fault
        return None

    def seconds(self) -> float:
        """Return how late an answer is."""
        return self._random.uniform(0.0, LATEST_SECONDS)

    def _befalls(self, fault: ApiFault, method: str, *, watch: bool) -> bool:
        if fault is ApiFault.DROPPED_WATCH:
            return watch
        if fault is ApiFault.LOST_ANSWER:
            return not watch
        return fault is not ApiFault.CONFLICT or method in WRITES
