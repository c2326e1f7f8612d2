"""Sidecar objects for the oracle's worlds: what the oracle itself does not know, and both readers must."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from safeapply.resources.objects import Namespace, Resource, ResourceId
from tests.oracle.model import ROOT
from tests.oracle.worlds import CLIENTS, HOSTS

GROUP = "networking.istio.io"
SUFFIX = ".svc.cluster.local"
CHOSEN = {"app": "chosen"}
"""The labels by which some Sidecars choose their pods."""
PATTERNS = (
    *("*/*", "*/*", "./*", *(f"{space}/*" for space in CLIENTS)),
    *(f"*/{host}{SUFFIX}" for host in HOSTS),
    *(f"*/*.{space}{SUFFIX}" for space in CLIENTS),
    *("~/*", "~./*", *(f"~{space}/*" for space in CLIENTS), *(f"~/{host}{SUFFIX}" for host in HOSTS)),
)


def sidecar(number: int, namespace: str, *hosts: str, chosen: bool = False) -> Resource:
    """Return a Sidecar; those of higher numbers are younger."""
    name = f"scope-{number}"
    created = f"2026-01-01T00:01:{number:02d}Z"
    spec: dict[str, Any] = {"egress": [{"hosts": list(hosts)}]}
    if chosen:
        spec["workloadSelector"] = {"labels": CHOSEN}
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": created}
    document = {"apiVersion": f"{GROUP}/v1", "kind": "Sidecar", "metadata": metadata, "spec": spec}
    return Resource(ResourceId(GROUP, "Sidecar", Namespace(namespace), name), document)


@st.composite
def sidecars(draw: DrawFn) -> tuple[Resource, ...]:
    """Return up to two Sidecars, in any of the namespaces, for all pods or for chosen ones."""
    hosts = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3)
    return tuple(
        sidecar(number, draw(st.sampled_from((*CLIENTS, ROOT))), *draw(hosts), chosen=draw(st.booleans()))
        for number in range(draw(st.integers(0, 2)))
    )
