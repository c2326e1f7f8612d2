"""Commands under load, as users start them: safeapply's command line, real Envoys, real traffic."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from safeapply.sandbox.demo import MANIFESTS

Until = Callable[[Callable[[], object], str], None]
Descendants = Callable[[int], set[int]]
Alive = Callable[[int], bool]

SANDBOX = [sys.executable, "-m", "safeapply", "sandbox"]
QUICK = ["--proxies", "3", "--lag", "0-100ms", "--delay", "0-200ms", "--rps", "600"]
APPLY = f"{sys.executable} -m safeapply.sandbox.applying"


def _run(*arguments: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run([*SANDBOX, "run", *QUICK, *arguments], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    return done.returncode, json.loads(lines[-1]) if lines else {}, done.stderr


def test_a_command_that_changes_nothing_fails_no_request(tmp_path: Path) -> None:
    """All hosts of the live directory are asked all the time, and the report is written as well as printed."""
    file = tmp_path / "report.json"
    code, report, said = _run("--live", str(MANIFESTS / "live"), "--report", str(file), "--", "true")
    assert code == report["exitCode"] == 0
    assert report["failed"] == 0
    assert report["byFlag"] == {}
    assert report["proxies"] == 3
    assert report["delays"]["informerLag"] == "0-100ms"
    assert json.loads(file.read_text()) == report
    assert "informer lag 0-100ms per replica and kind" in said


def test_a_mesh_may_have_a_remote_cluster() -> None:
    """It has as many Envoys as the first one, which are asked too, and a context of its name."""
    command = ("sh", "-c", 'grep -q "name: east" "$KUBECONFIG"')
    code, report, _ = _run("--live", str(MANIFESTS / "live"), "--remote", "east", "--", *command)
    assert (code, report["failed"], report["proxies"]) == (0, 0, 6)
    for names in (["x"], ["kubeconfig"], ["east", "east"]):
        options = [word for name in names for word in ("--remote", name)]
        code, _, said = _run(*options, "--", "true")
        assert (code, said.count("\n")) == (1, 1)
        assert f"'{names[0]}' cannot be a cluster" in said


def test_the_exit_code_is_the_commands() -> None:
    """Scripts see what they would see without a mesh around it; its output comes before the report."""
    done = subprocess.run(
        [*SANDBOX, "run", *QUICK, "--", "sh", "-c", 'echo "$KUBECONFIG"; exit 7'],
        capture_output=True,
        text=True,
        check=False,
    )
    kubeconfig, report = done.stdout.splitlines()
    assert done.returncode == json.loads(report)["exitCode"] == 7
    assert kubeconfig.endswith("/kubeconfig")
    assert not Path(kubeconfig).exists()


def test_everything_at_once_loses_requests() -> None:
    """A subset is renamed in kubectl's order; requests fail because their cluster is not there (NC)."""
    command = ["sh", "-c", f"{APPLY} {MANIFESTS}/desired"]
    # Delays far apart, so that some proxy gets the routes and the rules in two pushes.
    options = ["--proxies", "6", "--lag", "0-1s", "--delay", "0-300ms", "--seed", "3"]
    code, report, _ = _run(
        "--live", str(MANIFESTS / "live"), "--desired", str(MANIFESTS / "desired"), *options, "--", *command
    )
    assert code == 0
    assert report["failed"] > 0
    assert report["byFlag"] == {"NC": report["failed"]}
    assert sum(report["byProxy"].values()) == report["failed"]
    assert report["lost"] == report["gained"] == []


def test_what_the_command_takes_away_is_lost_and_what_it_brings_is_gained(tmp_path: Path) -> None:
    """Neither counts as failed, and both are named with their proxies."""
    old = {"headers": {"x": {"exact": "old"}}}
    new = {"headers": {"x": {"exact": "new"}}}
    for name, match in (("live", old), ("desired", new)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vs.json").write_text(json.dumps(_route(match)))
    live, desired = str(tmp_path / "live"), str(tmp_path / "desired")
    code, report, _ = _run("--live", live, "--desired", desired, "--", *APPLY.split(), desired)
    assert code == 0
    assert report["failed"] == 0
    assert [one["request"] for one in report["lost"]] == ["GET http://a.default.svc.cluster.local:80/ x=old"]
    assert [one["request"] for one in report["gained"]] == ["GET http://a.default.svc.cluster.local:80/ x=new"]
    assert len(report["gained"][0]["proxies"]) == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_command_and_the_mesh(
    number: signal.Signals, code: int, tmp_path: Path, until: Until, descendants: Descendants, alive: Alive
) -> None:
    """Ctrl-C or SIGTERM while the command runs leaves no process and no directory."""
    note = tmp_path / "kubeconfig"
    script = f'echo "$KUBECONFIG" > {note}.new; mv {note}.new {note}; sleep 300'
    with subprocess.Popen(
        [*SANDBOX, "run", *QUICK, "--", "sh", "-c", script], stderr=subprocess.DEVNULL
    ) as process:
        until(note.exists, "the command did not start")
        run, children = Path(note.read_text().strip()).parent, descendants(process.pid)
        process.send_signal(number)
        assert process.wait(20) == code
    assert not run.exists()
    assert not [child for child in children if alive(child)]


def test_nothing_is_left_after_a_kill(tmp_path: Path, until: Until, descendants: Descendants, alive: Alive) -> None:
    """SIGKILL takes the Envoys, the traffic, the command and what the command started along."""
    note = tmp_path / "kubeconfig"
    script = f'sleep 300 & echo "$KUBECONFIG" > {note}.new; mv {note}.new {note}; wait'
    with subprocess.Popen(
        [*SANDBOX, "run", *QUICK, "--", "sh", "-c", script], stderr=subprocess.DEVNULL
    ) as process:
        until(note.exists, "the command did not start")
        run, children = Path(note.read_text().strip()).parent, descendants(process.pid)
        process.kill()
    until(lambda: not any(map(alive, children)), "processes outlived the kill")
    until(lambda: not run.exists(), "the run directory outlived the kill")


@pytest.mark.parametrize(
    ("arguments", "sentence", "code"),
    [
        (["--live", "/no/such/dir", "--", "true"], "/no/such/dir: no such file or directory", 1),
        (["--", "/no/such/program"], "/no/such/program: no such program", 2),
        (["--lag", "soon", "--", "true"], "'soon' is not a time span", 2),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], sentence: str, code: int) -> None:
    """And it is said before a mesh is started."""
    done = subprocess.run([*SANDBOX, "run", *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def _route(match: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "a"},
        "spec": {"hosts": ["a"], "http": [{"match": [match], "route": [{"destination": {"host": "a"}}]}]},
    }
