"""Paths of sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from safeapply.errors import SandboxError
from safeapply.resources.objects import Namespace
from safeapply.sandbox.sockets import PATH_LIMIT, admin_socket, check_room, listener_socket

RUN = Path("/tmp/mesh-12345678")
NAMESPACE = Namespace("default")


def test_paths_say_what_they_are() -> None:
    """A human who lists the run directory finds pods, ports and addresses."""
    assert admin_socket(RUN, NAMESPACE, "web") == RUN / "x/web.default/admin.sock"
    assert listener_socket(RUN, NAMESPACE, "web", 9080) == RUN / "x/web.default/9080.sock"
    assert listener_socket(RUN, NAMESPACE, "web", 27017, "10.96.0.7") == RUN / "x/web.default/10.96.0.7_27017.sock"


def test_long_names_fit_and_stay_apart() -> None:
    """Pods whose names would not fit into a socket's path get different short directories."""
    paths = [
        listener_socket(RUN, NAMESPACE, f"{'long-' * 40}{number}", 65535, "255.255.255.255") for number in (1, 2)
    ]
    assert len(set(paths)) == 2
    assert max(len(str(path)) for path in paths) <= PATH_LIMIT


def test_a_run_directory_without_room_is_refused() -> None:
    """The user is told before an Envoy fails on it."""
    check_room(RUN)
    with pytest.raises(SandboxError, match="shorter"):
        check_room(Path("/tmp") / ("deep" * 20))
