"""Why a straggler is one, as far as an Envoy tells."""

from __future__ import annotations

import json

import pytest

from safeapply.xds.configdump import UnreadableError
from safeapply.xds.health import Health, health, listener_errors, rejected_since

COUNTERS = b"""cluster.xds-grpc.upstream_rq_active: 1
cluster_manager.cds.update_rejected: 2
http.outbound_0.0.0.0_9080.rds.9080.update_rejected: 1
http.outbound_0.0.0.0_9080.rds.80.update_rejected: 3
listener_manager.lds.update_rejected: 0
"""


def test_refused_updates_are_counted_by_type() -> None:
    """All route configurations together; the stream to istiod is there."""
    assert health(200, COUNTERS) == Health({"CDS": 2, "LDS": 0, "RDS": 4}, connected=True)


def test_an_envoy_without_a_stream_is_disconnected() -> None:
    """Istio's agent ends the stream when it has lost istiod."""
    assert not health(200, b"cluster.xds-grpc.upstream_rq_active: 0\n").connected


def test_an_envoy_that_tells_no_counter_is_not_accused() -> None:
    """Somebody's filter may leave none of them."""
    assert health(200, b"") == Health({"CDS": 0, "LDS": 0, "RDS": 0})


def test_only_what_has_grown_was_refused_since() -> None:
    """An update that was refused an hour ago explains nothing."""
    assert rejected_since(Health({"CDS": 2, "LDS": 1}), Health({"CDS": 2, "LDS": 2, "RDS": 1})) == ("LDS", "RDS")


@pytest.mark.parametrize(("status", "body"), [(503, COUNTERS), (200, b"{}"), (200, b"<html>"), (200, b"\xff: 1\n")])
def test_what_are_not_counters_is_unreadable(status: int, body: bytes) -> None:
    """Then nothing is known of the cause."""
    with pytest.raises(UnreadableError):
        health(status, body)


def test_a_refused_listener_keeps_envoys_words() -> None:
    """Without the randomised ones, which would make two of a kind look like two kinds."""
    states = [
        {"name": "fine", "active_state": {}},
        {"name": "10.0.0.1_80", "error_state": {"details": "goo.gle/debugonly  no such filter"}},
    ]
    assert listener_errors(200, json.dumps({"configs": states}).encode()) == ("10.0.0.1_80: no such filter",)


@pytest.mark.parametrize(("status", "body"), [(404, b"{}"), (200, b"no")])
def test_what_is_no_list_of_listeners_is_unreadable(status: int, body: bytes) -> None:
    """As for every other question."""
    with pytest.raises(UnreadableError):
        listener_errors(status, body)
