"""What an Envoy counts of its own updates, and whether it hears from istiod: why a straggler is one.

Asked of stragglers only, and seldom: ``/stats`` walks every counter (ENVOY.md 4). These few pass Istio's default
filter; those of routes do so only where somebody lets them, so a refused route may go uncounted (ENVOY.md 2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from safeapply.xds.configdump import OK, UnreadableError, quoted

__all__ = ["HEALTH", "LISTENER_ERRORS", "Health", "health", "in_short", "listener_errors", "rejected_since"]

HEALTH = "/stats?filter=" + quote(
    r"^(cluster_manager\.cds|listener_manager\.lds|http\..*\.rds\..*)\.update_rejected$"
    r"|^cluster\.xds-grpc\.upstream_rq_active$",
    safe="",
)
LISTENER_ERRORS = "/config_dump?resource=dynamic_listeners&mask=name,error_state.details"

STREAMS = "cluster.xds-grpc.upstream_rq_active"
"""How many streams lead to istiod; istio's agent ends the one it carries when it has lost istiod itself."""
TYPES = (("cluster_manager.", "CDS"), ("listener_manager.", "LDS"), ("http.", "RDS"))
NOISE = re.compile(r"goo\.gle/debug\w+\s+")
"""Randomised words that protobuf puts into error texts, so that nobody matches them."""
SHOWN = 200
"""Characters of an error text that are shown: some hold the whole resource."""


@dataclass(frozen=True, slots=True)
class Health:
    """The counters of one moment."""

    rejected: Mapping[str, int]
    """How many updates were refused since the Envoy started, by type: ``CDS``, ``LDS``, ``RDS``."""
    connected: bool = True
    """Whether it has a stream to its control plane; also true where nothing is said of it."""


class _ErrorState(msgspec.Struct):
    details: str = ""


class _Listener(msgspec.Struct):
    name: str = ""
    error_state: _ErrorState | None = None


class _Listeners(msgspec.Struct):
    configs: list[_Listener] = []


def health(status: int, body: bytes) -> Health:
    """Return what an answer to ``HEALTH`` says: one ``name: number`` a line.

    Raises:
        UnreadableError: it is no list of numbers.
    """
    if status != OK:
        raise UnreadableError(f"the admin port answered {status}: {quoted(body)}")
    try:
        lines = (line.rpartition(":") for line in body.decode().splitlines() if line.strip())
        counters = {name: int(number) for name, _, number in lines}
    except ValueError as error:
        raise UnreadableError(f"the admin port answered what are not counters: {quoted(body)}") from error
    rejected = {word: sum(n for name, n in counters.items() if name.startswith(start)) for start, word in TYPES}
    return Health(rejected, connected=counters.get(STREAMS, 1) > 0)


def rejected_since(before: Health, after: Health) -> tuple[str, ...]:
    """Return the types of which an update was refused between two moments."""
    return tuple(word for word, count in after.rejected.items() if count > before.rejected.get(word, 0))


def listener_errors(status: int, body: bytes) -> tuple[str, ...]:
    """Return Envoy's words on each listener that it refused; of other types it keeps none (ENVOY.md 2).

    Raises:
        UnreadableError: the answer proves nothing.
    """
    if status != OK:
        raise UnreadableError(f"the admin port answered {status}: {quoted(body)}")
    try:
        found = msgspec.json.decode(body, type=_Listeners).configs
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableError(f"the admin port answered what is not a config dump: {quoted(body)}") from error
    return tuple(
        f"{one.name}: {in_short(one.error_state.details)}"
        for one in found
        if one.error_state and one.error_state.details
    )


def in_short(words: str) -> str:
    """Return an error text of Envoy's on one line, without what is random in it, and cut where it is long."""
    text = " ".join(NOISE.sub("", words).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
