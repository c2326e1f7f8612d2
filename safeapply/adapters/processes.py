"""Which process this is, and whether another one of this machine still runs: who holds a Lease and was killed.

A number alone says nothing: it is used again, it means another process in another container, and it is forgotten
at a reboot. With the boot, the PID namespace and the time of the start there is only one process that can be meant
(proc(5), ``/proc/pid/stat`` field 22). Where there is no ``/proc``, nothing is known, and a Lease has to run out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["has_ended", "own_process"]

PROC: Final = Path("/proc")
_STATE, _STARTED = 0, 19
"""Places in ``stat`` after the name, which may hold spaces and brackets itself."""
_DEAD: Final = frozenset("ZXx")


def own_process() -> str:
    """Return ``boot/namespace/pid/start`` of this process; empty where the machine does not tell."""
    try:
        _, started = _stat(os.getpid())
        return f"{_machine()}/{os.getpid()}/{started}"
    except OSError:
        return ""


def has_ended(process: str) -> bool:
    """Tell whether a process is known to have ended: one of this boot and namespace that is not there any more."""
    machine, pid, started = _parts(process)
    try:
        if not pid.isdecimal() or machine != _machine():
            return False
        # Not asked of /proc, which may hide the processes of others (hidepid=2).
        os.kill(int(pid), 0)
        state, began = _stat(int(pid))
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return began != started or state in _DEAD


def _parts(process: str) -> tuple[str, str, str]:
    rest, _, started = process.rpartition("/")
    machine, _, pid = rest.rpartition("/")
    return machine, pid, started


def _machine() -> str:
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{(PROC / 'self/ns/pid').readlink()}"


def _stat(pid: int) -> tuple[str, str]:
    """Return a process's state and when it started, in clock ticks since the boot."""
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return fields[_STATE], fields[_STARTED]
