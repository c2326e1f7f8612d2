"""Streams and files that cannot be written: a rollout ends as it would, and not in silence or a traceback."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.clusters import files, safeapply
from tests.sandbox.apiserver.cluster import Cluster, config

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-rename-a-subset"
PLAN = ("plan", "--live", str(EXAMPLE / "live"), "-f", str(EXAMPLE / "desired"))
FULL = "standard output cannot be written (No space left on device)"
CLOSED = "standard output cannot be written (Bad file descriptor)"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over an API server without Envoys."""
    with Cluster(tmp_path) as running:
        yield running


def in_shell(redirected: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run safeapply with its streams as a shell hands them over."""
    line = f"{shlex.join((sys.executable, '-m', 'safeapply', *arguments))} {redirected}"
    done = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    return done


class TestAPlan:
    """Is what is printed: without its output the command has failed."""

    @pytest.mark.parametrize(
        ("redirected", "said"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
    )
    def test_that_cannot_be_printed_is_an_error(self, redirected: str, said: str) -> None:
        """In one sentence."""
        done = in_shell(redirected, *PLAN)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert done.stderr.startswith(f"error: standard output: {said}")

    @pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full", "<&-"])
    def test_needs_no_other_stream(self, redirected: str) -> None:
        """Neither standard input nor standard error."""
        done = in_shell(redirected, *PLAN)
        assert done.returncode == 0
        assert "Step 3 of 3" in done.stdout

    @pytest.mark.parametrize("redirected", ["<&- >&- 2>&-", ">/dev/full 2>/dev/full", ">&- 2>/dev/full"])
    def test_ends_with_its_code_where_nothing_can_be_said(self, redirected: str) -> None:
        """The exit code is all that is left."""
        assert in_shell(redirected, *PLAN).returncode == 1

    def test_of_a_closed_standard_input_is_told_so(self) -> None:
        """Where ``-f -`` asks for it."""
        done = in_shell("<&-", "plan", "--live", str(EXAMPLE / "live"), "-f", "-")
        assert done.returncode == 1
        assert done.stderr == "error: -: standard input cannot be read: Bad file descriptor\n"

    def test_in_a_locale_that_lacks_its_characters_is_printed(self) -> None:
        """By escapes."""
        done = in_shell("", *PLAN, "-o", "html", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
        assert done.returncode == 0, done.stderr


class TestARollout:
    """Goes on, and its exit code says what was written."""

    @pytest.mark.parametrize("form", ["text", "json", "name", "events"])
    @pytest.mark.parametrize(("redirected", "said"), [(">/dev/full", FULL), (">&-", CLOSED)])
    def test_whose_output_cannot_be_written(
        self, cluster: Cluster, tmp_path: Path, form: str, redirected: str, said: str
    ) -> None:
        """All is written, so the exit code is 0; that something is missing is said once."""
        directory = files(tmp_path / "manifests", config("shop", {"a": "1"}))
        arguments = ("apply", "-f", directory, "--yes", "-o", form)
        done = in_shell(redirected, *arguments, KUBECONFIG=str(cluster.kubeconfig))
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(said) == 1
        assert safeapply(cluster, *arguments, "--dry-run=server").out.count("created") == 0

    @pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full", "<&- >&- 2>&-", "2>&1 >/dev/null | true"])
    def test_that_nobody_can_hear(self, cluster: Cluster, tmp_path: Path, redirected: str) -> None:
        """Its lines of progress are lost, and nothing else."""
        directory = files(tmp_path / "manifests", config("shop", {"a": "1"}))
        arguments = ("apply", "-f", directory, "--yes", "--verbose")
        assert in_shell(redirected, *arguments, KUBECONFIG=str(cluster.kubeconfig)).returncode == 0
        assert safeapply(cluster, *arguments, "--dry-run=server").out.count("created") == 0


class TestAReport:
    """Is beside the rollout: looked at before it, and no failure of it."""

    @pytest.mark.parametrize("option", ["--report", "--metrics-file"])
    @pytest.mark.parametrize("path", ["no/file", "."])
    def test_that_cannot_be_written_is_told_before_anything_is(
        self, cluster: Cluster, tmp_path: Path, option: str, path: str
    ) -> None:
        """Exit 2, and no object."""
        directory = files(tmp_path / "manifests", config("shop", {"a": "1"}))
        told = safeapply(cluster, "apply", "-f", directory, "--yes", option, str(tmp_path / path))
        assert (told.code, told.out) == (2, "")
        assert told.err.startswith(f"error: {option} ")
        assert safeapply(cluster, "apply", "-f", directory, "--dry-run=server").out.count("created") == 1

    @pytest.mark.parametrize("option", ["--report", "--metrics-file"])
    def test_on_a_full_disk_is_a_warning(self, cluster: Cluster, tmp_path: Path, option: str) -> None:
        """All is written, so the exit code is 0."""
        directory = files(tmp_path / "manifests", config("shop", {"a": "1"}))
        done = safeapply(cluster, "apply", "-f", directory, "--yes", option, "/dev/full")
        assert (done.code, done.out) == (0, "configmap/shop created\n")
        assert f"warning: {option} /dev/full: No space left on device" in done.err

    @pytest.mark.parametrize("option", ["--report", "--metrics-file"])
    def test_may_be_a_device_or_a_link(self, cluster: Cluster, tmp_path: Path, option: str) -> None:
        """Both stay what they are."""
        directory = files(tmp_path / "manifests", config("shop", {"a": "1"}))
        (tmp_path / "link").symlink_to("file")
        for path in ("/dev/null", str(tmp_path / "link")):
            done = safeapply(cluster, "apply", "-f", directory, "--yes", option, path)
            assert done.code == 0, done.err
        assert Path("/dev/null").is_char_device()
        assert (tmp_path / "link").is_symlink()
