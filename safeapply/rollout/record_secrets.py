"""The Secrets that hold the records of one user, as they are read and written (docs/internals/records.md)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from safeapply.errors import ClusterChangedError, ClusterError
from safeapply.plans.records import HEAD, Entry, State, entries_in, record_name
from safeapply.ports import Cluster
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.resources.secrets import SECRET

__all__ = ["MANAGED_BY", "Naming", "RecordSecrets", "Stored"]

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
STATE: Final = "safeapply/state"
"""The label with the state of the newest rollout, for whoever lists Secrets; nothing here reads it."""
USER: Final = "safeapply/user"
"""The annotation with the user whose records these are."""
TYPE: Final = "safeapply/rollout"
"""The type of the Secrets."""
MANAGER: Final = "safeapply-record"
MAKER: Final = "safeapply-record-maker"
"""The field manager that makes a Secret, and owns none of its data: who comes second takes nothing away."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A Secret of records as it is."""

    id: ResourceId
    version: str
    """Its resourceVersion; empty where there is none yet."""
    data: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class RecordSecrets:
    """One Secret in each namespace of which values are kept, all of the same name."""

    cluster: Cluster
    lock: Namespace
    """The namespace of the lock, whose Secret has the head."""
    user: str

    async def read(self, space: Namespace) -> Stored:
        """Return a Secret of these records; one that is not there yet is empty.

        Raises:
            ClusterError: it is somebody else's, or cannot be read.
        """
        one = ResourceId(SECRET.group, SECRET.kind, space, record_name(self.user))
        kept = await self.cluster.get(one)
        if kept is None:
            return Stored(one, "", {})
        with Naming(one, self.lock):
            return _stored(kept)

    async def write(self, stored: Stored, data: Mapping[str, bytes]) -> None:
        """Write a Secret that is as it was read.

        Raises:
            ClusterChangedError: somebody else has written it meanwhile.
        """
        version = stored.version or await self._made(stored.id)
        newest = entries_in(data.get(HEAD), self.user)[:1]
        labels = {MANAGED_BY: "safeapply"} | ({STATE: newest[0].state.value} if newest else {})
        metadata = {
            "name": stored.id.name,
            "namespace": stored.id.namespace,
            "labels": labels,
            "annotations": {USER: self.user},
            "resourceVersion": version,
        }
        encoded = {key: base64.b64encode(value).decode() for key, value in sorted(data.items())}
        document = {"apiVersion": "v1", "kind": SECRET.kind, "metadata": metadata, "type": TYPE, "data": encoded}
        await self.cluster.apply(Resource(stored.id, document), manager=MANAGER)

    async def _made(self, one: ResourceId) -> str:
        """Make a Secret that was not there, and return its resourceVersion.

        By an apply, since rights to create by name hold only there: a POST has no name yet.
        """
        metadata = {"name": one.name, "namespace": one.namespace}
        document = {"apiVersion": "v1", "kind": SECRET.kind, "metadata": metadata, "type": TYPE}
        made = await self.cluster.apply(Resource(one, document), manager=MAKER)
        if made.document.get("data"):
            raise ClusterChangedError(str(one), "somebody else made it")
        return made.resource_version

    async def others(self) -> tuple[tuple[str, Entry], ...]:
        """Return the newest rollout of each other user that could be gone back from."""
        kept = await self.cluster.select((SECRET,), (self.lock,), f"{MANAGED_BY}=safeapply")
        newest: list[tuple[str, Entry]] = []
        for one in kept:
            user = str(one.annotations.get(USER, ""))
            if one.id.name != record_name(user) or user == self.user:
                continue
            with suppress(ClusterError):
                entries = entries_in(_stored(one).data.get(HEAD), user)
                newest += [(user, one) for one in entries if one.state is not State.ROLLED_BACK][:1]
        return tuple(sorted(newest, key=lambda each: each[0]))


@dataclass(frozen=True, slots=True)
class Naming:
    """Says of an error which Secret it is about, and what the way out is."""

    id: ResourceId
    lock: Namespace

    def __enter__(self) -> None:
        """Have nothing to prepare."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """Name the Secret."""
        if isinstance(error, ClusterError):
            raise ClusterError(
                f"the record of the rollout in {self.id} cannot be used: {error}; to do without it, give "
                f"--no-record, or kubectl delete secret -n {self.lock} {self.id.name}"
            ) from error


def _stored(kept: Resource) -> Stored:
    """Return a Secret as it is.

    Raises:
        ClusterError: it is none of records.
    """
    if kept.document.get("type") != TYPE:
        raise ClusterError(f"it is of type {str(kept.document.get('type'))[:60]!r}, and not of {TYPE}")
    try:
        data = {
            str(key): base64.b64decode(str(value), validate=True)
            for key, value in (kept.document.get("data") or {}).items()
        }
    except (binascii.Error, ValueError, AttributeError) as error:
        raise ClusterError("its data is no base64") from error
    return Stored(kept.id, kept.resource_version, data)
