"""Who runs in the background, and who does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from safeapply.errors import SandboxError, UsageError
from safeapply.sandbox.states import State, directory_of, is_running, lock, read_state, write_state

STATE = State(
    name="default", pid=1, process="boot/1", server="http://127.0.0.1:1", kubeconfig="/k", run="/r", proxies=1,
    replicas=2, seed=1, lag="0s", push="0s", since="2026-01-01T00:00:00Z",
)  # fmt: skip


def test_a_sandbox_lives_as_long_as_it_holds_the_lock(tmp_path: Path) -> None:
    """What a dead sandbox left written is not believed."""
    assert not is_running(tmp_path)
    with lock(tmp_path):
        write_state(tmp_path, STATE)
        assert is_running(tmp_path)
        assert read_state(tmp_path) == STATE
    assert not is_running(tmp_path)
    assert read_state(tmp_path) is None


def test_two_of_one_name_do_not_run(tmp_path: Path) -> None:
    """The second is told how to stop the first."""
    with lock(tmp_path), pytest.raises(SandboxError, match="sandbox down"), lock(tmp_path):
        pass


def test_directories_follow_the_users_runtime_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Users of one machine do not meet, with or without XDG_RUNTIME_DIR."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert directory_of("a") == tmp_path / "safeapply" / "a"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert directory_of("a").parent.name.startswith("safeapply-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "relative")
    assert directory_of("a").is_absolute()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "-a", "x" * 40])
def test_a_name_is_no_path(name: str) -> None:
    """Names are refused that could lead elsewhere or make sockets' paths too long."""
    with pytest.raises(UsageError, match="is no name"):
        directory_of(name)
