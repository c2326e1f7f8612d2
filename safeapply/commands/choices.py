"""What may be chosen for a rollout, by the words of the command line."""

from __future__ import annotations

from enum import Enum

__all__ = ["DryRun", "OnTimeout", "Via"]


class DryRun(Enum):
    """Whether anything is written."""

    NONE = "none"
    CLIENT = "client"
    SERVER = "server"


class OnTimeout(Enum):
    """What is done when a wait takes too long."""

    STOP = "stop"
    ROLLBACK = "rollback"


class Via(Enum):
    """How the admin ports of the Envoys are reached."""

    PORT_FORWARD = "port-forward"
    EXEC = "exec"
    URL = "url"
