"""What a user names as a file is read to its end, or one sentence says why not: nothing is read for ever."""

from __future__ import annotations

import os
import threading
import time
from io import BytesIO, RawIOBase
from pathlib import Path

import pytest

from safeapply.adapters.bounded import LIMIT, NotAFileError, read_file, read_stream
from safeapply.adapters.files import read_sources
from safeapply.errors import ManifestsError


class Endless(RawIOBase):
    """Standard input of ``yes | safeapply apply -f -``, as far as it is read."""

    given = 0

    def readable(self) -> bool:
        """Tell that it is an input."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give as much as is wanted, always."""
        self.given += size
        return b"y" * size


class TestAName:
    """Of something that is no file."""

    @pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null"])
    def test_of_a_device_is_refused(self, tmp_path: Path, device: str) -> None:
        """Also through a link, as a pull request can hold one."""
        (tmp_path / "rule.yaml").symlink_to(device)
        begun = time.monotonic()
        with pytest.raises(
            ManifestsError, match=r"rule.yaml: the file cannot be read: it is a device; name a file"
        ):
            read_sources([str(tmp_path)], recursive=False, stdin=BytesIO())
        assert time.monotonic() - begun < 5

    def test_of_a_pipe_that_nobody_writes_to_is_given_up(self, tmp_path: Path) -> None:
        """It is neither waited for without end nor taken to be empty."""
        os.mkfifo(tmp_path / "rule.yaml")
        with pytest.raises(NotAFileError, match=r"nobody has written to it for 0.2 s"):
            read_file(str(tmp_path / "rule.yaml"), patience=0.2)

    def test_of_a_pipe_whose_writer_falls_silent_is_given_up(self, tmp_path: Path) -> None:
        """What has come so far may be half a manifest."""
        os.mkfifo(pipe := tmp_path / "rule.yaml")
        both = os.open(pipe, os.O_RDWR)
        try:
            os.write(both, b"kind: ")
            with pytest.raises(NotAFileError, match="nobody has written"):
                read_file(str(pipe), patience=0.2)
        finally:
            os.close(both)

    def test_of_a_pipe_is_read_to_its_end(self, tmp_path: Path) -> None:
        """As by ``-f <(helm template ...)``, also where the writer comes later."""
        os.mkfifo(pipe := tmp_path / "rule.yaml")
        content = b"kind: Foo\n" * 100_000
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        timer = threading.Timer(0.2, writer.start)
        timer.start()
        assert read_file(str(pipe)) == content
        timer.join()
        writer.join()

    def test_that_holds_a_zero_byte_is_a_fault(self) -> None:
        """The system does not get to see it."""
        with pytest.raises(ManifestsError, match=r"a\\0b: no name of a file holds"):
            read_sources(["a\0b"], recursive=False, stdin=BytesIO())


class TestTooMuch:
    """More than any manifests have."""

    def test_is_not_read_on(self, tmp_path: Path) -> None:
        """A sparse file of a terabyte costs no more than the limit."""
        with (large := tmp_path / "large.yaml").open("wb") as file:
            file.truncate(2**40)
        with pytest.raises(NotAFileError, match="more than 1 MiB"):
            read_file(str(large), limit=2**20)

    def test_of_standard_input_is_a_fault(self) -> None:
        """``yes | safeapply apply -f -``."""
        endless = Endless()
        with pytest.raises(ManifestsError, match=r"^-: standard input cannot be read: it holds more than 128 MiB"):
            read_sources(["-"], recursive=False, stdin=endless)  # type: ignore[arg-type]
        assert endless.given <= LIMIT + 2**20

    def test_a_pipe_is_bounded_too(self, tmp_path: Path) -> None:
        """Nor is it emptied."""
        os.mkfifo(pipe := tmp_path / "rule.yaml")
        both = os.open(pipe, os.O_RDWR)
        try:
            os.write(both, b"y" * 5000)
            with pytest.raises(NotAFileError, match="holds more than"):
                read_file(str(pipe), limit=4096)
        finally:
            os.close(both)

    def test_just_enough_is_read(self) -> None:
        """The limit belongs to what is allowed."""
        assert read_stream(BytesIO(b"1234"), limit=4) == b"1234"


def test_a_process_without_standard_input_is_told_so() -> None:
    """A service, or ``safeapply apply -f - <&-`` by a library."""
    with pytest.raises(ManifestsError, match=r"^-: standard input is closed; name files instead$"):
        read_sources(["-"], recursive=False, stdin=None)
