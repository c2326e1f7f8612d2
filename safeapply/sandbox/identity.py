"""Which process a number means: the one of this boot that began at this instant, and is this user's.

A number alone is given away again. Whoever is to be ended is held by a pidfd first and looked at then, so that
it is the one that was looked at that ends (pidfd_open(2); proc(5), ``/proc/pid/stat`` field 22).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["identity_of", "is_ours"]

PROC: Final = Path("/proc")
STARTED: Final = 19
"""The place in ``stat`` after the name, which may hold spaces and brackets itself."""


def identity_of(pid: int) -> str:
    """Return ``boot/start`` of a process.

    Raises:
        OSError: there is no such process, or the machine does not tell.
    """
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{(PROC / str(pid) / 'stat').read_text().rpartition(')')[2].split()[STARTED]}"


def is_ours(pid: int, identity: str) -> bool:
    """Tell whether a number means this very process, and it is this user's."""
    try:
        return identity_of(pid) == identity and (PROC / str(pid)).stat().st_uid == os.geteuid()
    except OSError:
        return False
