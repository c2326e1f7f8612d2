"""Which proxy an Envoy is, by its own word: the name that istio's agent gave it."""

from __future__ import annotations

import msgspec

from safeapply.xds.configdump import Dump, UnreadableError, decoded

__all__ = ["IDENTITY", "node_of"]

IDENTITY = "/config_dump?mask=bootstrap.node.id&name_regex=-"
"""The expression matches no name, so that no cluster is put into the dump that this is cut out of."""
NODE_PARTS = 4


class _Node(msgspec.Struct):
    id: str = ""


class _Bootstrap(msgspec.Struct):
    node: _Node = msgspec.field(default_factory=_Node)


class _BootstrapDump(msgspec.Struct):
    bootstrap: _Bootstrap = msgspec.field(default_factory=_Bootstrap)


def node_of(status: int, body: bytes) -> str:
    """Return ``pod.namespace`` from a node id of ``role~address~pod.namespace~domain``.

    Raises:
        UnreadableError: the answer holds no such id.
    """
    for one in decoded(status, body, Dump[_BootstrapDump]).configs:
        parts = one.bootstrap.node.id.split("~")
        if len(parts) == NODE_PARTS:
            return parts[2]
    raise UnreadableError("the answer holds no node id of Istio's")
