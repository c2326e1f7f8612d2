"""Records of rollouts as the Secrets that hold them: their names, what is in which, what is believed. Pure.

Whoever rolls out has one Secret in each namespace of which values are kept, so that nobody can read them who could
not read a Secret there. The one in the namespace of the lock also holds the head: number, state and author of each
rollout, and the digest of every part, so that no part can be exchanged. The name of all of them is made of the user
that the API server itself tells, so that rights on them can be given by name, and nobody writes another's records.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, Final

import msgspec

from safeapply.errors import ClusterError
from safeapply.plans.found import Found, decoded, encoded
from safeapply.resources.identifiers import is_label
from safeapply.resources.objects import Namespace, ResourceId

__all__ = [
    "HEAD",
    "KEPT",
    "LARGEST",
    "RECORD_PREFIX",
    "Entry",
    "Record",
    "State",
    "digest_of",
    "entries_in",
    "fitting",
    "found_in",
    "head_of",
    "part_key",
    "parts_of",
    "place_of",
    "places_of",
    "record_name",
    "retained",
]

RECORD_PREFIX: Final = "safeapply-"
HEAD: Final = "head"
"""The key of the head among a Secret's data."""
KEPT: Final = 10
"""Rollouts; as many as a Deployment keeps."""
LARGEST: Final = 1_000_000
"""Bytes of one Secret's data; the API server takes 1 MiB (kubernetes ``MaxSecretSize``)."""
FORMAT_VERSION: Final = "1"
_DIGITS: Final = 20
"""Of the digest of a user's name: 80 bits, so that nobody finds a name that leads to another's records."""


class State(Enum):
    """How far a rollout has come; one that is under way may have been killed."""

    UNDER_WAY = "under-way"
    SETTLED = "settled"
    ROLLED_BACK = "rolled-back"


@dataclass(frozen=True, slots=True)
class Entry:
    """One rollout in the head: all but what it found."""

    revision: int
    state: State
    by: str
    """Who ran it, where, and in which process."""
    at: str
    """When its record was written: RFC 3339, in UTC."""
    parts: tuple[tuple[Namespace, str], ...]
    """The namespaces that hold what it found, and the SHA-256 of each part in hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Record:
    """What one rollout found, and what has become of it."""

    revision: int
    state: State
    by: str
    at: str
    found: tuple[Found, ...]
    earlier: frozenset[ResourceId] = frozenset()
    """The objects that a run touched which was stopped, and which this one may go on with."""


def record_name(user: str) -> str:
    """Return the name of the Secrets that hold a user's records, the same in every namespace."""
    return RECORD_PREFIX + sha256(user.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]


def part_key(lock: Namespace, revision: int) -> str:
    """Return the key of one rollout's findings among a Secret's data; of each lock the rollouts count anew."""
    return f"{lock}.{revision}"


def place_of(one: Found, lock: Namespace) -> Namespace:
    """Return where a finding is kept: values beside their object; with the head what has none, or no namespace."""
    inside = one.document is not None and (one.document.get("metadata") or {}).get("namespace")
    return one.id.namespace if inside else lock


def places_of(found: Iterable[Found], lock: Namespace) -> tuple[Namespace, ...]:
    """Return every namespace in which something is kept of a rollout, that of the head first."""
    return tuple(dict.fromkeys((lock, *sorted(place_of(one, lock) for one in found))))


def parts_of(found: Iterable[Found], lock: Namespace) -> Mapping[Namespace, bytes]:
    """Return findings by the namespaces that keep them.

    Raises:
        UsageError: they are more than a record holds.
    """
    parts: dict[Namespace, list[Found]] = defaultdict(list)
    for one in found:
        parts[place_of(one, lock)].append(one)
    return {space: encoded(listed) for space, listed in sorted(parts.items())}


def found_in(space: Namespace, lock: Namespace, part: bytes | None, digest: str) -> tuple[Found, ...]:
    """Return the findings of one part, if it is the one that was written and speaks of this namespace alone.

    Raises:
        ClusterError: it is not.
    """
    if part is None:
        raise ClusterError("what the rollout found is not there any more")
    if sha256(part).hexdigest() != digest:
        raise ClusterError("what it holds is not what the rollout wrote")
    found = decoded(part)
    foreign = next((one for one in found if place_of(one, lock) != space), None)
    if foreign is not None:
        raise ClusterError(f"it holds {foreign.id}, which is not of its namespace")
    return found


def digest_of(part: bytes) -> str:
    """Return the digest of a part."""
    return sha256(part).hexdigest()


def head_of(user: str, entries: Iterable[Entry]) -> bytes:
    """Return the head of a user's records, the newest first."""
    lines = [_Line(one.revision, one.state.value, one.by, one.at, dict(one.parts)) for one in entries]
    return msgspec.json.encode(_Head(FORMAT_VERSION, user, lines))


def entries_in(head: bytes | None, user: str) -> tuple[Entry, ...]:
    """Return the rollouts of a user, the newest first; none where there is no head.

    Raises:
        ClusterError: it is of another make, or another user's.
    """
    if head is None:
        return ()
    try:
        told = msgspec.json.decode(head, type=_Head)
        entries = tuple(map(_entry, told.rollouts))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ClusterError("safeapply did not write its head") from error
    if told.formatVersion != FORMAT_VERSION:
        raise ClusterError(
            f"its head is in format {told.formatVersion[:20]!r}; this safeapply reads {FORMAT_VERSION}"
        )
    if told.user != user:
        raise ClusterError("its head says that it is another user's")
    if any(newer.revision <= older.revision for newer, older in pairwise(entries)):
        raise ClusterError("the rollouts in its head are out of order")
    return entries


def retained(data: Mapping[str, bytes], lock: Namespace, entries: Iterable[Entry]) -> dict[str, bytes]:
    """Return what a Secret goes on holding: the parts of these rollouts, and all that belongs to other locks."""
    wanted = {part_key(lock, one.revision) for one in entries}
    return {key: value for key, value in data.items() if not key.startswith(f"{lock}.") or key in wanted}


def fitting(
    entries: Sequence[Entry], user: str, lock: Namespace, secrets: Iterable[Mapping[str, bytes]]
) -> tuple[Entry, ...]:
    """Return as many rollouts, the newest first, as every one of these Secrets has room for.

    Args:
        entries: the rollouts, the newest first.
        user: whose they are.
        lock: the namespace of the head.
        secrets: what each Secret would hold with all of them.
    """
    listed, chosen = tuple(secrets), tuple(entries[: KEPT + 1])
    while chosen and any(_size(data, user, lock, chosen) > LARGEST for data in listed):
        chosen = chosen[:-1]
    return chosen


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    number: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    state: str
    by: str
    at: str
    parts: dict[str, str]


class _Head(msgspec.Struct):
    formatVersion: str  # noqa: N815  JSON's name
    user: str
    rollouts: list[_Line]


def _entry(line: _Line) -> Entry:
    if not all(map(is_label, line.parts)):
        raise ValueError("no namespace is called so")
    parts = tuple((Namespace(space), digest) for space, digest in sorted(line.parts.items()))
    return Entry(line.number, State(line.state), line.by, line.at, parts)


def _size(data: Mapping[str, bytes], user: str, lock: Namespace, entries: Iterable[Entry]) -> int:
    listed = tuple(entries)
    parts = sum(len(value) for key, value in retained(data, lock, listed).items() if key != HEAD)
    return parts + len(head_of(user, listed))
