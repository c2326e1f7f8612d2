"""Bad input gets one clear sentence and the right exit code, never a traceback, and nothing is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

MANIFEST = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews}
"""


def safeapply(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command without a kubeconfig of the machine's own."""
    clean = {key: value for key, value in os.environ.items() if key not in {"KUBECONFIG", "HOME"}}
    done = subprocess.run(
        (sys.executable, "-m", "safeapply", *arguments),
        input=stdin,
        capture_output=True,
        check=False,
        env={**clean, "HOME": "/nonexistent", **environment},
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def refused(result: subprocess.CompletedProcess[str], code: int) -> str:
    """Check that a command failed as it should, and return its sentence."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ")
    return result.stderr.removeprefix("error: ").strip()


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Return the path of a good manifest."""
    path = tmp_path / "rule.yaml"
    path.write_text(MANIFEST)
    return path


def kubeconfig(tmp_path: Path, server: str) -> str:
    """Return the path of a kubeconfig for a server."""
    path = tmp_path / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "it",
                "clusters": [{"name": "it", "cluster": {"server": server}}],
                "users": [{"name": "me", "user": {}}],
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
            }
        )
    )
    return str(path)


class Refusing(BaseHTTPRequestHandler):
    """An API server that says no to everything."""

    status = 403
    body = json.dumps({"kind": "Status", "message": "pods is forbidden: User x cannot list", "code": 403}).encode()

    def do_GET(self) -> None:
        """Say no."""
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing else."""


@pytest.fixture
def refusing() -> Iterator[str]:
    """Return the address of an API server that forbids everything."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_no_files_are_named() -> None:
    """The sentence says how to name them."""
    assert "name manifests with -f" in refused(safeapply("plan", "--live", "."), 2)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """The path is named as the user wrote it."""
    assert "missing" in refused(safeapply("plan", "--live", str(tmp_path), "-f", str(tmp_path / "missing")), 1)


def test_an_empty_directory(tmp_path: Path) -> None:
    """Kubectl says it too."""
    sentence = refused(safeapply("plan", "--live", str(tmp_path), "-f", str(tmp_path)), 1)
    assert str(tmp_path) in sentence
    assert "yaml" in sentence


def test_binary_junk(tmp_path: Path) -> None:
    """One fault with the file's name, whatever the bytes."""
    junk = tmp_path / "junk.yaml"
    junk.write_bytes(bytes(range(256)) * 10)
    assert "junk.yaml" in refused(safeapply("plan", "--live", str(tmp_path), "-f", str(junk)), 1)


def test_every_fault_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    """File and line for each."""
    (tmp_path / "a.yaml").write_text("kind: DestinationRule\n")
    (tmp_path / "b.yaml").write_text(MANIFEST.replace("{host: reviews}", "{host: 3}"))
    sentence = refused(safeapply("plan", "--live", str(tmp_path), "-f", str(tmp_path)), 1)
    assert "a.yaml:1" in sentence
    assert "b.yaml:4" in sentence


def test_a_manifest_of_ten_megabytes_is_read(tmp_path: Path, manifest: Path) -> None:
    """It is large, and it is all right."""
    large = tmp_path / "large.yaml"
    lines = "\n".join(f"  line-{number}: {'x' * 90}" for number in range(100_000))
    large.write_text(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: large}}\ndata:\n{lines}\n")
    assert large.stat().st_size > 10_000_000
    result = safeapply("plan", "--live", str(manifest), "-f", str(large))
    assert result.returncode == 0, result.stderr
    assert "1 step" in result.stdout


def test_a_kubeconfig_that_is_not_there(tmp_path: Path, manifest: Path) -> None:
    """The path is named, and what to do."""
    sentence = refused(safeapply("apply", "-f", str(manifest), "--kubeconfig", str(tmp_path / "nowhere")), 1)
    assert "nowhere" in sentence
    assert "--kubeconfig" in sentence


def test_no_kubeconfig_at_all(manifest: Path) -> None:
    """Neither a variable nor a file."""
    assert "KUBECONFIG" in refused(safeapply("apply", "-f", str(manifest)), 1)


def test_a_kubeconfig_that_is_junk(tmp_path: Path, manifest: Path) -> None:
    """Not YAML, or not a kubeconfig."""
    for junk in ("][", "just text", "[]", ""):
        path = tmp_path / "junk"
        path.write_text(junk)
        refused(safeapply("apply", "-f", str(manifest), KUBECONFIG=str(path)), 1)


def test_a_context_that_is_not_there(tmp_path: Path, manifest: Path) -> None:
    """The name is in the sentence."""
    config = kubeconfig(tmp_path, "http://127.0.0.1:1")
    result = safeapply("apply", "-f", str(manifest), "--kubeconfig", config, "--context", "other")
    assert "other" in refused(result, 1)


def test_a_server_that_does_not_listen(tmp_path: Path, manifest: Path) -> None:
    """The address is named."""
    config = kubeconfig(tmp_path, "http://127.0.0.1:1")
    sentence = refused(safeapply("apply", "-f", str(manifest), "--kubeconfig", config), 1)
    assert "http://127.0.0.1:1" in sentence
    assert "kubeconfig" in sentence


def test_a_server_that_refuses(tmp_path: Path, manifest: Path, refusing: str) -> None:
    """The server's own words are passed on."""
    config = kubeconfig(tmp_path, refusing)
    assert "pods is forbidden" in refused(safeapply("apply", "-f", str(manifest), "--kubeconfig", config), 1)


@pytest.mark.parametrize(
    ("status", "body"), [(401, b"{}"), (500, b"{}"), (200, b"<html>a login page</html>"), (200, b"")]
)
def test_a_server_that_is_something_else(
    tmp_path: Path, manifest: Path, refusing: str, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes
) -> None:
    """A proxy's login page is not an API server."""
    monkeypatch.setattr(Refusing, "status", status)
    monkeypatch.setattr(Refusing, "body", body)
    refused(safeapply("apply", "-f", str(manifest), "--kubeconfig", kubeconfig(tmp_path, refusing)), 1)


@pytest.mark.parametrize(
    ("option", "value"), [("--soak", "soon"), ("--barrier-timeout", "5"), ("--barrier-timeout", "-1s")]
)
def test_a_duration_that_is_none(tmp_path: Path, manifest: Path, option: str, value: str) -> None:
    """The option is named, and how to write it."""
    config = kubeconfig(tmp_path, "http://127.0.0.1:1")
    result = safeapply("apply", "-f", str(manifest), "--kubeconfig", config, f"{option}={value}")
    assert option in refused(result, 2)


def test_pruning_needs_a_selector(tmp_path: Path, manifest: Path) -> None:
    """Nothing is ever deleted implicitly."""
    config = kubeconfig(tmp_path, "http://127.0.0.1:1")
    result = safeapply("apply", "-f", str(manifest), "--kubeconfig", config, "--prune")
    assert "-l" in refused(result, 2)


def test_an_unknown_option_is_usage() -> None:
    """Exit code 2, as everywhere."""
    assert safeapply("apply", "--frobnicate").returncode == 2


def test_a_refused_plan_exits_with_four(tmp_path: Path) -> None:
    """The failing request is on standard output, and in JSON too."""
    route = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews"},
        "spec": {"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews", "subset": "v9"}}]}]},
    }
    (tmp_path / "live.yaml").write_text(MANIFEST)
    (tmp_path / "desired.json").write_text(json.dumps(route))
    command = ("plan", "--live", str(tmp_path / "live.yaml"), "-f", str(tmp_path / "desired.json"))
    text, document = safeapply(*command), safeapply(*command, "-o", "json")
    assert text.returncode == document.returncode == 4
    assert "subset v9" in text.stdout
    refusals = json.loads(document.stdout)["refusals"]
    assert [one["code"] for one in refusals] == ["dangling-reference"]


def test_detailed_exit_codes_are_terraforms(tmp_path: Path, manifest: Path) -> None:
    """2 where there are changes, 0 where there are none."""
    other = tmp_path / "other.yaml"
    other.write_text(MANIFEST.replace("{host: reviews}", "{host: ratings}"))
    same = safeapply("plan", "--live", str(manifest), "-f", str(manifest), "--detailed-exitcode")
    changed = safeapply("plan", "--live", str(manifest), "-f", str(other), "--detailed-exitcode")
    assert (same.returncode, changed.returncode) == (0, 2)


def test_manifests_come_from_standard_input_too(manifest: Path) -> None:
    """``-f -``, as kubectl has it."""
    result = safeapply("plan", "--live", str(manifest), "-f", "-", stdin=MANIFEST.encode())
    assert result.returncode == 0
