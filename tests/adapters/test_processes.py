"""A process is known by its boot, its namespace, its number and its start: only of such a one is the end known."""

from __future__ import annotations

import subprocess
import sys

import pytest

from safeapply.adapters.processes import has_ended, own_process

TELL = "from safeapply.adapters.processes import own_process; print(own_process(), flush=True); input()"


def test_this_process_has_not_ended() -> None:
    """Whoever holds a Lease and still runs keeps it."""
    assert own_process()
    assert not has_ended(own_process())


def test_a_killed_process_has_ended_even_before_its_parent_takes_notice() -> None:
    """Alive it has not, as a zombie and afterwards it has."""
    with subprocess.Popen(
        [sys.executable, "-c", TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        told = child.stdout.readline().strip()
        assert not has_ended(told)
        child.kill()
        child.stdout.read()
    assert has_ended(told)


def test_a_number_that_is_used_again_is_another_process() -> None:
    """The start tells them apart."""
    machine, _, started = own_process().rpartition("/")
    assert has_ended(f"{machine}/{int(started) + 1}")


@pytest.mark.parametrize(
    "process", ["", "nonsense", "another-boot/pid:[1]/42/7", "a/b/c/d/e", f"{'9' * 40}/1/2/{'9' * 40}"]
)
def test_of_another_machine_nothing_is_known(process: str) -> None:
    """Then the Lease has to run out."""
    assert not has_ended(process)
