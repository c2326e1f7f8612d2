"""What the sandbox's istiods of several revisions read."""

from __future__ import annotations

import pytest

from safeapply.resources.objects import Namespace, ResourceId
from safeapply.sandbox.controlplane.snapshots import Snapshot


@pytest.mark.parametrize(
    ("labels", "readers"),
    [
        ({}, ["canary", "default"]),
        ({"istio.io/rev": "canary"}, ["canary"]),
        ({"istio.io/rev": "stable"}, []),
        ({"istio.io/rev": ""}, []),
    ],
    ids=["none", "one of them", "another", "empty"],
)
@pytest.mark.parametrize(("group", "kind"), [("networking.istio.io", "VirtualService"), ("", "Service")])
def test_an_istiod_reads_what_is_for_all_or_for_its_own_revision(
    labels: dict[str, str], readers: list[str], group: str, kind: str
) -> None:
    """Kubernetes' own kinds are for all, whatever they bear (istio ``LabelsInRevision``)."""
    one = ResourceId(group, kind, Namespace("default"), "reviews")
    snapshot = Snapshot({one: {"kind": kind, "metadata": {"name": "reviews", "labels": labels}}})
    reading = [each for each in ("canary", "default") if one in snapshot.read_by(each).objects]
    assert reading == (readers if group else ["canary", "default"])
