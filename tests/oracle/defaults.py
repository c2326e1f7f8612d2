"""A MeshConfig for the oracle's worlds: who sees what does not say so."""

from __future__ import annotations

from collections.abc import Mapping
from json import dumps
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from safeapply.istio.mesh_settings import config_of
from safeapply.resources.objects import Namespace, Resource, ResourceId
from tests.oracle.model import ROOT
from tests.oracle.worlds import CLIENTS

FIELDS = ("defaultServiceExportTo", "defaultVirtualServiceExportTo", "defaultDestinationRuleExportTo")
SCOPES = (["*"], ["."], ["~"], [CLIENTS[0]], [".", CLIENTS[0]])
SELECTORS: tuple[dict[str, Any], ...] = (
    {"matchLabels": {"team": CLIENTS[0]}},
    *({"matchExpressions": [{"key": "team", "operator": one}]} for one in ("Exists", "DoesNotExist")),
    *({"matchExpressions": [{"key": "team", "operator": one, "values": [CLIENTS[0]]}]} for one in ("In", "NotIn")),
)
"""Every operator, on the one label that namespaces bear here."""


@st.composite
def mesh_configs(draw: DrawFn) -> tuple[Resource, ...]:
    """Return nothing, or Istio's ConfigMap with any of the defaults and selectors, and the labelled namespaces."""
    chosen: dict[str, Any] = draw(st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(SCOPES)))
    if selectors := draw(st.lists(st.sampled_from(SELECTORS), max_size=2)):
        chosen["discoverySelectors"] = selectors
    if not chosen:
        return ()
    labelled = (_namespace(name, draw(st.sampled_from((None, *CLIENTS)))) for name in (*CLIENTS, ROOT))
    return (_object(config_of(Namespace(ROOT)), data={"mesh": dumps(chosen)}), *labelled)


def _namespace(name: str, team: str | None) -> Resource:
    one = ResourceId("", "Namespace", Namespace(""), name)
    return _object(one, labels={"team": team} if team else {})


def _object(one: ResourceId, labels: Mapping[str, str] | None = None, **fields: object) -> Resource:
    metadata = {"name": one.name, "labels": labels or {}, **({"namespace": one.namespace} if one.namespace else {})}
    return Resource(one, {"apiVersion": "v1", "kind": one.kind, "metadata": metadata, **fields})
