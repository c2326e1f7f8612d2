"""A sandbox's place is known to all users of a machine, so whoever was there first is not believed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from safeapply.errors import SandboxError
from safeapply.sandbox.background import down
from safeapply.sandbox.identity import identity_of
from safeapply.sandbox.states import (
    State,
    directory_of,
    is_running,
    lock,
    open_log,
    read_state,
    write_kubeconfig,
    write_state,
)

ANOTHER = 12_345
"""A user who is not the one that runs the tests."""
STATE = State(
    name="default", pid=1, process="boot/1", server="http://127.0.0.1:1", kubeconfig="/k", run="/r", proxies=1,
    replicas=2, seed=1, lag="0s", push="0s", since="2026-01-01T00:00:00Z",
)  # fmt: skip
USES: tuple[Callable[[Path], object], ...] = (
    lambda directory: lock(directory).__enter__(),
    is_running,
    open_log,
    read_state,
    lambda directory: write_kubeconfig(directory, "x"),
    lambda directory: write_state(directory, STATE),
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the default sandbox is, with nothing there."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return directory_of("default")


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that has nothing to do with any sandbox."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


class TestADirectoryThatAnotherUserMade:
    """Nothing is opened, written or ended, and the sentence says what to do."""

    @pytest.mark.parametrize("use", USES)
    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory for somebody else")
    def test_is_refused(self, place: Path, use: Callable[[Path], object]) -> None:
        """Also where it looks like one of ours, with a state and a lock."""
        place.mkdir(parents=True, mode=0o700)
        place.parent.chmod(0o700)
        os.chown(place.parent, ANOTHER, ANOTHER)
        with pytest.raises(SandboxError, match=r"belongs to another user.*XDG_RUNTIME_DIR"):
            use(place)

    @pytest.mark.parametrize("use", USES)
    def test_that_is_open_to_others_is_refused(self, place: Path, use: Callable[[Path], object]) -> None:
        """Others may have put there what is found."""
        place.mkdir(parents=True)
        place.parent.chmod(0o777)
        with pytest.raises(SandboxError, match="is open to other users"):
            use(place)

    @pytest.mark.parametrize("use", USES)
    @pytest.mark.parametrize("depth", [0, 1])
    def test_that_is_a_link_is_refused(
        self, place: Path, tmp_path: Path, use: Callable[[Path], object], depth: int
    ) -> None:
        """It may lead to a directory of ours, whose files would be written over."""
        victim = tmp_path / "victim"
        victim.mkdir(mode=0o700)
        link = (place, place.parent)[depth]
        link.parent.mkdir(mode=0o700, exist_ok=True)
        link.symlink_to(victim)
        (victim / "default").mkdir(mode=0o700)
        with pytest.raises(SandboxError, match="is a link or a file"):
            use(place)
        assert [one.name for one in victim.iterdir()] == ["default"]

    def test_that_could_be_exchanged_is_refused(self, place: Path, tmp_path: Path) -> None:
        """In a directory that all may write to, without the sticky bit, ours would not stay where it is."""
        tmp_path.chmod(0o777)
        with pytest.raises(SandboxError, match="other users can replace directories"):
            is_running(place)
        tmp_path.chmod(0o1777)
        assert not is_running(place)


class TestAFileThatIsALink:
    """What it leads to is neither truncated nor read."""

    @pytest.mark.parametrize(
        ("name", "use"),
        [
            ("lock", lambda place: lock(place).__enter__()),
            ("lock", is_running),
            ("log", open_log),
        ],
    )
    def test_is_refused(self, place: Path, tmp_path: Path, name: str, use: Callable[[Path], object]) -> None:
        """The lock and the log are opened for writing."""
        victim = tmp_path / "victim"
        victim.write_text("precious")
        open_log(place).close()
        (place / name).unlink(missing_ok=True)
        (place / name).symlink_to(victim)
        with pytest.raises(SandboxError, match="cannot be opened"):
            use(place)
        assert victim.read_text() == "precious"

    def test_is_replaced_where_a_whole_file_is_written(self, place: Path, tmp_path: Path) -> None:
        """State and kubeconfig take the link's place."""
        victim = tmp_path / "victim"
        victim.write_text("precious")
        open_log(place).close()
        for name in ("kubeconfig", "kubeconfig.new"):
            (place / name).symlink_to(victim)
        assert write_kubeconfig(place, "mine").read_text() == "mine"
        assert victim.read_text() == "precious"
        assert (place / "kubeconfig").lstat().st_mode & 0o777 == 0o600


class TestDown:
    """Only the process that was started is ended, and only if that is certain."""

    @pytest.mark.parametrize("forged", [{"process": "boot/1"}, {"process": ""}, {"pid": 2**70}, {"pid": -1}])
    def test_a_state_that_names_another_process_ends_nobody(
        self, place: Path, bystander: subprocess.Popen[bytes], forged: dict[str, object]
    ) -> None:
        """Its number alone proves nothing: not after a reboot, and not from a file."""
        named = {"pid": bystander.pid, "process": identity_of(bystander.pid), **forged}
        with lock(place):
            _say(place, replace(STATE, pid=1, process=""), named)
            with pytest.raises(SandboxError, match="was not ended"):
                down("default")
        assert bystander.poll() is None

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process for somebody else")
    def test_another_users_process_is_not_ended(self, place: Path) -> None:
        """Also where it is named by its boot and its start: root must not be led to it."""
        with subprocess.Popen(["sleep", "600"], user=ANOTHER) as process:
            with lock(place):
                write_state(place, replace(STATE, pid=process.pid, process=identity_of(process.pid)))
                with pytest.raises(SandboxError, match="was not ended"):
                    down("default")
            assert process.poll() is None
            process.kill()

    def test_the_process_that_was_started_is_ended(self, place: Path, bystander: subprocess.Popen[bytes]) -> None:
        """It is asked to, by SIGTERM."""
        with lock(place):
            write_state(place, replace(STATE, pid=bystander.pid, process=identity_of(bystander.pid)))
            assert down("default")
        assert bystander.wait(10) == -signal.SIGTERM

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": 1}', "\x00"])
    def test_a_state_that_cannot_be_read_is_one_sentence(self, place: Path, text: str) -> None:
        """Of an older version, or cut off."""
        with lock(place):
            (place / "state.json").write_text(text)
            with pytest.raises(SandboxError, match="was not written by this version"):
                down("default")


def _say(place: Path, state: State, named: dict[str, object]) -> None:
    """Write a state that may hold what no program of ours writes."""
    write_state(place, state)
    text = (place / "state.json").read_text()
    for key, was in (("pid", "1"), ("process", '""')):
        value = f'"{named[key]}"' if key == "process" else str(named[key])
        text = text.replace(f'"{key}":{was}', f'"{key}":{value}')
    (place / "state.json").write_text(text)
