"""A mesh in the background: up, status, down, and gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from safeapply.sandbox.demo import MANIFESTS

Until = Callable[[Callable[[], object], str], None]
Descendants = Callable[[int], set[int]]
Alive = Callable[[int], bool]


@pytest.fixture
def home(run: Path) -> Iterator[dict[str, str]]:
    """Hand over an environment in which no other sandbox lives, and stop what was started in it."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(run)}
    yield environment
    _sandbox("down", env=environment)


def _sandbox(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "safeapply", "sandbox", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=60)


def _up(env: dict[str, str], *arguments: str) -> Path:
    done = _sandbox("up", "--proxies", "2", *arguments, env=env)
    assert done.returncode == 0, done.stderr
    assert "stop it with: safeapply sandbox down" in done.stderr
    return Path(done.stdout.removeprefix("export KUBECONFIG=").strip())


def test_up_status_and_down(home: dict[str, str], descendants: Descendants, alive: Alive) -> None:
    """A sandbox serves its API to any client, says so, and leaves nothing when it is stopped."""
    kubeconfig = _up(home, "--live", str(MANIFESTS / "live"))
    server = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    with urllib.request.urlopen(f"{server}/apis/networking.istio.io/v1/destinationrules", timeout=5) as answer:
        assert {one["metadata"]["name"] for one in json.load(answer)["items"]} == {"ratings", "reviews"}

    state = json.loads(_sandbox("status", "-o", "json", env=home).stdout)
    assert (state["running"], state["proxies"], state["server"]) == (True, 2, server)
    again = _sandbox("up", env=home)
    assert (again.returncode, again.stdout) == (1, "")
    assert "is running already" in again.stderr

    processes = {state["pid"]} | descendants(state["pid"])
    assert _sandbox("down", env=home).returncode == 0
    assert not [process for process in processes if alive(process)]
    assert not Path(state["run"]).exists()
    assert not kubeconfig.exists()


def test_with_mutual_tls_every_pod_has_an_envoy(home: dict[str, str]) -> None:
    """``--mtls``: two clients of the demonstration, and the pods that serve."""
    _up(home, "--live", str(MANIFESTS / "live"), "--mtls")
    state = json.loads(_sandbox("status", "-o", "json", env=home).stdout)
    names = {path.name for path in (Path(state["run"]) / "x").iterdir()}
    assert {"client-1.default", "reviews-0.default"} <= names
    assert state["proxies"] == len(names)


def test_no_sandbox_is_a_state_too(home: dict[str, str]) -> None:
    """``status`` exits 1 where none runs, and stopping what does not run is fine, as in kubectl's world."""
    done = _sandbox("status", "-o", "json", env=home)
    assert (done.returncode, json.loads(done.stdout)) == (1, {"running": False, "name": "default"})
    assert _sandbox("down", env=home).returncode == 0


def test_two_of_different_names_live_side_by_side(home: dict[str, str]) -> None:
    """Each has its own API server."""
    one, two = _up(home), _up(home, "--name", "two")
    try:
        assert one.read_text() != two.read_text()
    finally:
        assert _sandbox("down", "--name", "two", env=home).returncode == 0
    assert json.loads(_sandbox("status", "-o", "json", env=home).stdout)["running"]


def test_a_fault_while_starting_is_told(home: dict[str, str], tmp_path: Path) -> None:
    """What kept the background process from serving is one sentence in the foreground."""
    (tmp_path / "x.yaml").write_text("a: [")
    done = _sandbox("up", "--live", str(tmp_path), env=home)
    assert (done.returncode, done.stdout) == (1, "")
    assert "x.yaml: not YAML" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sandbox_whose_directory_is_removed_ends(
    home: dict[str, str], run: Path, until: Until, descendants: Descendants, alive: Alive
) -> None:
    """Who cleans up a runtime directory by hand leaves no orphan behind."""
    _up(home)
    state = json.loads(_sandbox("status", "-o", "json", env=home).stdout)
    processes = {state["pid"]} | descendants(state["pid"])
    shutil.rmtree(run / "safeapply")
    until(lambda: not any(map(alive, processes)), "the sandbox outlived its directory")


def test_a_sandbox_that_was_killed_is_not_believed(
    home: dict[str, str], until: Until, descendants: Descendants, alive: Alive
) -> None:
    """After SIGKILL nothing stays but a stale note, and a new one can start at once."""
    _up(home)
    state = json.loads(_sandbox("status", "-o", "json", env=home).stdout)
    processes = {state["pid"]} | descendants(state["pid"])
    os.kill(state["pid"], signal.SIGKILL)
    until(lambda: not any(map(alive, processes)), "processes outlived the kill")
    assert _sandbox("status", env=home).returncode == 1
    _up(home)
