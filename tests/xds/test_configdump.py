"""What an Envoy's answers mean, and which of them mean nothing."""

from __future__ import annotations

import json

import pytest

from safeapply.xds import configdump
from safeapply.xds.configdump import UnreadableError

V1 = "outbound|9080|v1|reviews.default.svc.cluster.local"
V2 = "outbound|9080|v2|reviews.default.svc.cluster.local"


def body(*configs: object) -> bytes:
    """Return a dump of these configs."""
    return json.dumps({"configs": configs}).encode()


def named(*names: str) -> list[object]:
    """Return cluster entries as Envoy lists them, with more in them than is read."""
    return [{"cluster": {"@type": "Cluster", "name": name, "type": "EDS"}, "last_updated": "x"} for name in names]


def test_active_and_warming_clusters_are_told_apart() -> None:
    """One cluster may be in both: then the active one is the old one."""
    read = configdump.clusters(
        200,
        body({"dynamic_active_clusters": named("BlackHoleCluster", V1), "dynamic_warming_clusters": named(V1, V2)}),
    )
    assert read.active == {"BlackHoleCluster", V1}
    assert read.warming == {V1, V2}


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, b"{}"),
        (200, body({"dynamic_active_clusters": named(V1)})),
        (200, body({"dynamic_warming_clusters": named("BlackHoleCluster")})),
        (200, b""),
        (200, b"Failed to convert protobuf message to JSON string: INVALID_ARGUMENT"),
        (200, body({"dynamic_active_clusters": named("BlackHoleCluster", V1)})[:-20]),
        (200, b"\xff\xfe\x00"),
        (200, b'{"configs": "BlackHoleCluster"}'),
        (400, b"FieldMask could not be successfully used."),
        (503, body({"dynamic_active_clusters": named("BlackHoleCluster")})),
    ],
)
def test_an_answer_that_proves_nothing_is_unreadable(status: int, answer: bytes) -> None:
    """Without the control cluster, not JSON, cut off, or of another status: unknown, and never absent."""
    with pytest.raises(UnreadableError):
        configdump.clusters(status, answer)


def test_changes_are_told_by_time_for_routes_and_for_each_state_of_a_listener() -> None:
    """What moved is fetched again; what did not is not."""
    read = configdump.changes(
        200,
        body(
            {"route_config": {"name": "9080"}, "last_updated": "1"},
            {"name": "l", "active_state": {"last_updated": "2"}, "draining_state": {"last_updated": "3"}},
        ),
    )
    assert read == {"9080": ("1", "", "", ""), "l": ("", "2", "", "3")}


def test_only_healthy_endpoints_count() -> None:
    """A cluster whose hosts are all unhealthy answers 503 UH."""
    hosts = [{"health_status": "HEALTHY"}, {"health_status": "UNHEALTHY"}, {}]
    one = {"endpoint_config": {"cluster_name": V1, "endpoints": [{"lb_endpoints": hosts}, {}]}}
    assert configdump.endpoints(200, body(one)) == {V1: 1}


def test_an_error_quotes_what_was_answered() -> None:
    """A true sentence at 3 a.m.: the status, and the first words."""
    with pytest.raises(UnreadableError, match="answered 404: 'x not found in config dump'"):
        configdump.changes(404, b"x not found in config dump\n")


@pytest.mark.parametrize("state", [b"LIVE\n", b"DRAINING\n"])
def test_an_envoy_that_has_had_its_configuration_is_live(state: bytes) -> None:
    """One that drains had it, too."""
    configdump.check_live(state)


@pytest.mark.parametrize("state", [b"INITIALIZING\n", b"PRE_INITIALIZING\n", b"", b"no healthy upstream"])
def test_an_envoy_that_starts_proves_nothing(state: bytes) -> None:
    """Between its first clusters and its first listeners it refers to nothing, and will."""
    with pytest.raises(UnreadableError, match="first whole configuration"):
        configdump.check_live(state)
