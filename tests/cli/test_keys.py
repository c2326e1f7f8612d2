"""A private key of a kubeconfig is on no disk, so that no end of the process can leave it there."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import yaml

from tests.cli.clusters import files
from tests.sandbox.apiserver.cluster import config

SIGNALS: tuple[tuple[signal.Signals, ...], ...] = (
    (signal.SIGHUP,),
    (signal.SIGTERM,),
    (signal.SIGTERM, signal.SIGTERM),
    (signal.SIGINT, signal.SIGINT),
    (signal.SIGKILL,),
)


class Silent:
    """An API server that takes connections and says nothing, not even in TLS."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(60)

    @property
    def url(self) -> str:
        """Return its address."""
        return f"https://127.0.0.1:{self.listener.getsockname()[1]}"

    def wait(self) -> socket.socket:
        """Return when somebody has connected: by then the key has been loaded."""
        return self.listener.accept()[0]


@pytest.fixture
def silent() -> Iterator[Silent]:
    """Run one."""
    server = Silent()
    yield server
    server.listener.close()


def kubeconfig(directory: Path, server: str) -> Path:
    """Write a kubeconfig that holds certificate, key and authority as data."""
    authority = trustme.CA()
    pair = authority.issue_cert(common_name="root")

    def data(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    user = {
        "client-certificate-data": data(pair.cert_chain_pems[0].bytes()),
        "client-key-data": data(pair.private_key_pem.bytes()),
        # Where there are both, the data count.
        "client-key": "/nonexistent",
    }
    trusted = {"certificate-authority-data": data(authority.cert_pem.bytes())}
    document = {
        "clusters": [{"name": "here", "cluster": {"server": server, **trusted}}],
        "users": [{"name": "here", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
        "current-context": "here",
    }
    path = directory / "config"
    path.write_text(yaml.safe_dump(document))
    return path


def applying(directory: Path, path: Path, *before: str, **variables: str) -> subprocess.Popen[str]:
    """Start an apply with a kubeconfig."""
    manifests = files(directory / "m", config("a", {"b": "c"}))
    command = (*before, sys.executable, "-m", "safeapply", "apply", "-y", "-f", manifests)
    environment = {**os.environ, "KUBECONFIG": str(path), **variables}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("numbers", SIGNALS, ids=lambda numbers: "+".join(one.name for one in numbers))
def test_no_end_leaves_a_key_behind(tmp_path: Path, silent: Silent, numbers: tuple[signal.Signals, ...]) -> None:
    """Nor is there one while the command runs."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = kubeconfig(tmp_path, silent.url)
    with applying(tmp_path, path, TMPDIR=str(scratch)) as process:
        with silent.wait():
            assert not list(scratch.iterdir())
            for number in numbers:
                process.send_signal(number)
            _, said = process.communicate(timeout=60)
        assert "Traceback" not in said
        assert process.returncode == (130 if numbers != (signal.SIGKILL,) else -signal.SIGKILL)
    assert not list(scratch.iterdir())


def test_what_is_ignored_from_the_start_stays_ignored(tmp_path: Path, silent: Silent) -> None:
    """Under nohup a terminal that is closed ends nothing."""
    with applying(tmp_path, kubeconfig(tmp_path, silent.url), "nohup") as process:
        with silent.wait():
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
        assert (process.returncode, "interrupted; nothing was written" in said) == (130, True)


def test_a_key_that_is_no_base64_is_one_sentence(tmp_path: Path) -> None:
    """The kubeconfig is named, and the field."""
    path = kubeconfig(tmp_path, "https://127.0.0.1:1")
    document = yaml.safe_load(path.read_text())
    document["users"][0]["user"]["client-key-data"] = "not base64"
    path.write_text(yaml.safe_dump(document))
    with applying(tmp_path, path) as process:
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said.count("\n")) == (1, 1)
    assert "client-key-data is no base64" in said
