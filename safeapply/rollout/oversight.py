"""Whether every replica of istiod has seen what was written, before something is removed (ISTIO.md 7.10).

A proxy that reconnects may come to a replica that has not seen the newest objects yet, and fall back to routes that
name what is about to go. Asked of ``/debug/configz``, which is large: only before removals, and of a replica that
has once seen everything no more. A replica that cannot be asked stops nobody; that it was not asked is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from safeapply.errors import IstiodError
from safeapply.istio.proxies import ProxyId
from safeapply.istio.replicas import CONFIGZ, Replica, Written, known_versions
from safeapply.ports import Istiods
from safeapply.resources.objects import ResourceId
from safeapply.rollout.events import Straggler, Unasked

__all__ = ["Oversight"]

PATIENCE = 10.0
"""Seconds that one answer may take."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0


@dataclass(slots=True)
class Oversight:
    """What the replicas have seen of some writes, as far as they were asked."""

    istiods: Istiods
    writes: Collection[Written]
    pause: float = FIRST_PAUSE
    """How long to wait before asking again those that are behind."""
    unasked: tuple[Unasked, ...] = ()
    seen: tuple[str, ...] = ()
    _known: dict[str, Mapping[ResourceId, str]] = field(default_factory=dict)
    """By the replica's uid, what it had of these objects when it was asked last."""

    async def look(self, replicas: Collection[Replica]) -> tuple[Straggler, ...]:
        """Ask every replica that has not seen everything yet, and return those that still have not."""
        silences = await asyncio.gather(*(self._ask(one) for one in replicas if self._lacking(one)))
        self.unasked = tuple(one for one in silences if one is not None)
        behind = tuple(straggler for one in replicas if (straggler := self._behind(one, replicas)) is not None)
        silent = {one.replica for one in self.unasked} | {one.proxy for one in behind}
        self.seen = tuple(sorted(one.id for one in replicas if one.id not in silent))
        self.pause = min(2 * self.pause, LONGEST_PAUSE) if behind else FIRST_PAUSE
        return behind

    async def _ask(self, replica: Replica) -> Unasked | None:
        try:
            answer = await self.istiods.ask(replica, CONFIGZ, deadline=PATIENCE)
            known = known_versions(replica, answer.status, answer.body)
        except IstiodError as error:
            self._known.pop(replica.uid, None)
            return Unasked(replica.id, error.reason)
        self._known[replica.uid] = {write.id: known[write.id] for write in self.writes if write.id in known}
        return None

    def _lacking(self, replica: Replica) -> tuple[Written, ...]:
        """Return the writes that a replica had not seen when it was asked last; all, where it was not asked."""
        known = self._known.get(replica.uid)
        concerned = tuple(one for one in self.writes if one.concerns(replica))
        return concerned if known is None else tuple(one for one in concerned if not one.is_seen_in(known))

    def _behind(self, replica: Replica, replicas: Collection[Replica]) -> Straggler | None:
        if replica.uid not in self._known:
            return None
        lacking = [one for one in self._lacking(replica) if not self._is_read_by_none(one, replicas)]
        if not lacking:
            return None
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        return Straggler(ProxyId(replica.id), f"has not seen {_told(lacking[0])}{more} yet")

    def _is_read_by_none(self, one: Written, replicas: Collection[Replica]) -> bool:
        """Tell whether no replica has a new object: the proxies have followed, so istiod does not read it."""
        known = [self._known[replica.uid] for replica in replicas if replica.uid in self._known]
        return one.created and not any(one.id in each for each in known)


def _told(write: Written) -> str:
    return f"the deletion of {write.id}" if write.deleted else f"{write.id} at resourceVersion {write.version}"
