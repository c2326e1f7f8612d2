"""A file is the old one or the new one, and what is no file stays what it is."""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from safeapply.adapters.textfiles import check_writable, replace_text


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    """Whoever has the old one open keeps it."""
    path = tmp_path / "rollout.prom"
    path.write_text("old")
    with path.open() as reader:
        replace_text(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["rollout.prom"]


def test_a_private_file_is_private_from_its_first_byte_on(tmp_path: Path) -> None:
    """Also where one that all may read was there before."""
    path = tmp_path / "rollout.plan"
    path.write_text("old")
    path.chmod(0o666)
    replace_text(path, "new", mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is replaced, in its own directory."""
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "file", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    replace_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_link_to_nothing_yet_is_followed(tmp_path: Path) -> None:
    """As by a shell's redirection."""
    (tmp_path / "link").symlink_to("file")
    replace_text(tmp_path / "link", "new")
    assert (tmp_path / "file").read_text() == "new"


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_to_and_stays(tmp_path: Path, *, linked: bool) -> None:
    """It once was replaced by a file, so that its reader waited for ever."""
    os.mkfifo(pipe := tmp_path / "pipe")
    (tmp_path / "link").symlink_to(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    # The reader's open waits for a writer, and the writer's fails without a reader: whoever is first tries again.
    while reader.is_alive():
        with suppress(OSError):
            replace_text(tmp_path / ("link" if linked else "pipe"), "new" * 100_000)
            break
    reader.join()
    assert read == ["new" * 100_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_pipe_that_nobody_reads_is_an_error_at_once(tmp_path: Path) -> None:
    """And not the end of the command's being heard of."""
    os.mkfifo(pipe := tmp_path / "pipe")
    with pytest.raises(OSError, match="nobody reads"):
        replace_text(pipe, "new")


def test_a_device_is_written_to_and_stays() -> None:
    """As root this once made a file of ``/dev/null``."""
    replace_text(Path("/dev/null"), "new")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(OSError, match="No space left"):
        replace_text(Path("/dev/full"), "new")


def test_a_disk_that_is_full_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no draft beside it."""
    path = tmp_path / "report.json"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_text(path, "new")
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"report.json": "old"}


@pytest.mark.parametrize(
    ("name", "reason"), [("no/file", "there is no directory"), ("", "Is a directory"), ("x/y/z", "no directory")]
)
def test_what_cannot_be_written_is_told_before(tmp_path: Path, name: str, reason: str) -> None:
    """Nothing is made by looking."""
    with pytest.raises(OSError, match=reason):
        check_writable(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_can_be_written_is_not_touched_by_looking(tmp_path: Path) -> None:
    """A file, a new file, a device."""
    (tmp_path / "there").write_text("old")
    for path in (tmp_path / "there", tmp_path / "new", Path("/dev/null")):
        check_writable(path)
    assert [one.name for one in tmp_path.iterdir()] == ["there"]
