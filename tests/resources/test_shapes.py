"""Typed fields: msgspec's verdict and ours agree, and ours is complete."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safeapply.resources.objects import GroupKind
from safeapply.resources.schema import Manifest, model_of
from safeapply.resources.shapes import mismatches

ISTIO = "networking.istio.io"
FIELDS = st.sampled_from(
    [
        "hosts",
        "http",
        "route",
        "destination",
        "host",
        "subset",
        "port",
        "number",
        "weight",
        "subsets",
        "name",
        "labels",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, "x", "80"]),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(FIELDS, below, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("kind", ["VirtualService", "DestinationRule", "Gateway", "ServiceEntry", "Sidecar"])
@settings(deadline=None)
@given(spec=JSON)
def test_a_document_has_mismatches_exactly_where_msgspec_refuses_it(kind: str, spec: Any) -> None:
    """The walk that explains may neither miss what msgspec sees nor invent what it does not."""
    model = model_of(GroupKind(ISTIO, kind))
    assert model is not None
    found = list(mismatches({"spec": spec}, model))
    try:
        msgspec.convert({"spec": spec}, model)
    except msgspec.ValidationError as error:
        assert found, error  # noqa: PT017  either outcome is right
    else:
        assert not found


def test_unknown_fields_and_nulls_pass() -> None:
    """What is not read is not judged, and null is as good as absent."""
    document = {"metadata": {"name": "x", "labels": None, "finalizers": 5}, "spec": {"anything": [1]}}
    assert not list(mismatches(document, Manifest))


@pytest.mark.parametrize("field", ["manager", "operation", "subresource", "fieldsV1"])
def test_who_owns_a_field_is_told_in_words(field: str) -> None:
    """The owners are looked up by name, which a list cannot be."""
    document = {"metadata": {"name": "x", "managedFields": [{field: []}]}}
    wanted = "mapping" if field == "fieldsV1" else "str"
    told = [(f"metadata.managedFields[0].{field}", f"expected {wanted}, got list")]
    assert list(mismatches(document, Manifest)) == told
