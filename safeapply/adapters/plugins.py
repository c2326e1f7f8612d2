"""Credentials that a program hands out: ``exec`` of a kubeconfig user, by client.authentication.k8s.io/v1.

The official Python client logs what goes wrong there and goes on without credentials, takes a token or a
certificate but not both, and knows neither ``installHint`` nor ``interactiveMode``; the rules are client-go's
(``plugin/pkg/client/auth/exec/exec.go``).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from safeapply.errors import ClusterError
from safeapply.rollout.durations import duration

__all__ = ["Credential", "obtained"]

GROUP = "client.authentication.k8s.io"
VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")
SECONDS = 60.0
"""How long a plugin may take that asks nobody: a token is fetched within a second or two."""
ASKING_SECONDS = 600.0
"""How long one may take that has a terminal: its user may have to log in with a browser."""
MOST = 1024 * 1024
"""Bytes that a plugin may print."""
MODES = ("Never", "IfAvailable", "Always")
TOLD = (
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority-data",
    "proxy-url",
)
"""What a plugin with ``provideClusterInfo`` is told of the cluster."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a plugin gave."""

    user: Mapping[str, str]
    """As fields of a kubeconfig user."""
    expires: datetime | None


async def obtained(spec: Mapping[str, Any], cluster: Mapping[str, Any]) -> Credential:
    """Run a plugin and return its credential.

    Args:
        spec: ``exec`` of the kubeconfig user.
        cluster: of the kubeconfig.

    Raises:
        ClusterError: it is not there, failed, or gave no credential.
    """
    command, version = str(spec.get("command") or ""), str(spec.get("apiVersion") or "")
    if not command or version not in VERSIONS:
        raise ClusterError(
            f"the kubeconfig's exec plugin {command!r} has apiVersion {version!r}; name a command, and one of "
            f"{', '.join(VERSIONS)}"
        )
    interactive = _interactive(spec, command)
    asked: dict[str, Any] = {"interactive": interactive}
    if spec.get("provideClusterInfo"):
        asked["cluster"] = _told(cluster)
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": asked}
    environ = {str(one["name"]): str(one.get("value", "")) for one in spec.get("env") or ()}
    words = (command, *(str(one) for one in spec.get("args") or ()))
    out = await _run(words, {**os.environ, **environ, "KUBERNETES_EXEC_INFO": json.dumps(info)}, interactive, spec)
    return _credential(out, command, version)


def _interactive(spec: Mapping[str, Any], command: str) -> bool:
    """Tell whether the plugin may ask its user."""
    mode, terminal = spec.get("interactiveMode") or "IfAvailable", sys.stdin is not None and sys.stdin.isatty()
    if mode not in MODES:
        raise ClusterError(f"the exec plugin {command} has interactiveMode {mode!r}; write {', '.join(MODES)}")
    if mode == "Always" and not terminal:
        raise ClusterError(
            f"the exec plugin {command} wants to ask for credentials (interactiveMode: Always), and standard "
            "input is no terminal; log in first, or use other credentials"
        )
    return mode != "Never" and terminal


def _told(cluster: Mapping[str, Any]) -> dict[str, Any]:
    told = {key: cluster[key] for key in TOLD if cluster.get(key)}
    for one in cluster.get("extensions") or ():
        if one.get("name") == f"{GROUP}/exec":
            told["config"] = one.get("extension")
    return told


async def _run(
    words: tuple[str, ...],
    environ: Mapping[str, str],
    interactive: bool,  # noqa: FBT001  passed on
    spec: Mapping[str, Any],
) -> bytes:
    asked = f"{words[0]}, which the kubeconfig takes its credentials from,"
    try:
        # What it says on standard error is for the user: where to log in, above all.
        process, printed = await asyncio.get_running_loop().subprocess_exec(
            _Printed,
            *words,
            env=environ,
            stdin=None if interactive else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=None,
            # Who may ask needs the terminal; of who may not, all that it has started ends with it.
            start_new_session=not interactive,
        )
    except OSError as error:
        hint = " ".join(str(spec.get("installHint") or "").split())
        raise ClusterError(
            f"the kubeconfig takes its credentials from {words[0]}, which cannot be run ({error.strerror}); "
            + (hint or "install it, or use other credentials")
        ) from error
    seconds = ASKING_SECONDS if interactive else SECONDS
    with _ended(process, in_session=not interactive):
        try:
            async with asyncio.timeout(seconds):
                await printed.whole
        except TimeoutError as error:
            raise ClusterError(
                f"{asked} gave none within {duration(seconds)}; run it by itself, and log in again"
            ) from error
    if len(printed.out) > MOST:
        raise ClusterError(
            f"{asked} printed more than {MOST // 1024} KiB, which is no credential; run it by itself"
        )
    if process.get_returncode():
        raise ClusterError(
            f"{asked} ended with exit code {process.get_returncode()}; run it by itself, and log in again"
        )
    return bytes(printed.out)


class _Printed(asyncio.SubprocessProtocol):
    """What a plugin prints, as far as a credential can be so long."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the plugin has ended and closed its output, or has printed too much."""

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002  there is only one
        """Take what comes."""
        self.out += data
        if len(self.out) > MOST:
            self._done()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's name
        """Take note of the end."""
        self._done()

    def _done(self) -> None:
        if not self.whole.done():
            self.whole.set_result(None)


@contextlib.contextmanager
def _ended(process: asyncio.SubprocessTransport, *, in_session: bool) -> Iterator[None]:
    """Leave no plugin behind, nor what it has started, as far as that is in a session of its own."""
    whole = False
    try:
        yield
        whole = process.get_returncode() is not None
    finally:
        if in_session and not whole:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.get_pid(), signal.SIGKILL)
        process.close()


def _credential(out: bytes, command: str, version: str) -> Credential:
    strange = ClusterError(
        f"{command}, which the kubeconfig takes its credentials from, printed no {version} credential"
    )
    try:
        document = json.loads(out)
        status = document["status"]
        expiry = status.get("expirationTimestamp")
        expires = datetime.fromisoformat(expiry) if expiry else None
        pair = [str(status.get(key) or "") for key in ("clientCertificateData", "clientKeyData")]
        token = str(status.get("token") or "")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise strange from error
    # With only one half of a pair of certificate and key there is nothing to show.
    if document.get("apiVersion") != version or any(pair) != all(pair) or not (token or all(pair)):
        raise strange
    names = ("client-certificate-data", "client-key-data")
    user = {name: base64.b64encode(text.encode()).decode() for name, text in zip(names, pair, strict=True) if text}
    return Credential(user | ({"token": token} if token else {}), expires)
