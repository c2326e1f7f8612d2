"""Paths at the API server: made of segments, each of which stays one, whatever it holds.

A name is what stood in somebody's file. Joined as it is, ``key?`` would end the path, and ``a/b`` be another.
"""

from __future__ import annotations

from urllib.parse import quote

from safeapply.errors import ClusterError
from safeapply.resources.identifiers import is_path_segment

__all__ = ["path_of", "root_of"]


def path_of(*segments: str) -> str:
    """Return ``/a/b/c``, with as many segments as are given.

    Raises:
        ClusterError: one of them is empty or none that Kubernetes has in its paths, ``..`` say.
    """
    for one in segments:
        if not is_path_segment(one):
            raise ClusterError(
                f"{one!r} can be no part of an address at the API server; mend what it was read from"
            )
    return "".join(f"/{quote(one, safe=':')}" for one in segments)


def root_of(version: str) -> tuple[str, ...]:
    """Return the first segments for what is served in ``group/version``, or in a ``version`` of the core."""
    return ("apis", *version.split("/")) if "/" in version else ("api", version)
