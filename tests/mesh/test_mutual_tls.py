"""Mutual TLS under load, on Envoys that have certificates: no change of what servers accept loses a request.

What clients send and what servers accept reach the Envoys at different moments (ISTIO.md 6.5). The same changes,
written in kubectl's order, do lose requests: the mesh can tell.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.mesh import Scene
from safeapply.sandbox.run import RunReport, run_under_load

BRISK = Delays(lag=Span(0.0, 0.3), push=Span(0.0, 0.4))
SLOW = Delays(lag=Span(0.0, 1.0), push=Span(0.0, 2.0))
SAMPLE = {("from strict to none", 1), ("from none to strict", 1), ("to strict, with the clients", 1)}
KILLED = {("from none to strict", 3)}
"""Killed while its clients are pinned."""
SEEDS = 5
APPLY = ("-m", "safeapply", "apply", "--yes", "--soak", "200ms", "-f")
AT_ONCE = ("-m", "safeapply.sandbox.applying")
KILLING = str(Path(__file__).with_name("killing.py"))
SERVICES = [
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": [{"name": protocol, "port": port, "targetPort": 8080}]},
    }
    for name, protocol, port in (("web", "http", 80), ("db", "tcp", 3306))
]

CHANGES = {
    "to strict": ("PERMISSIVE", "STRICT"),
    "from strict to none": ("STRICT", "DISABLE"),
    "from none to strict": ("DISABLE", "STRICT"),
    "to none": ("PERMISSIVE", "DISABLE"),
    "from none": ("DISABLE", "PERMISSIVE"),
    "to strict, with the clients": ("PERMISSIVE DISABLE", "STRICT ISTIO_MUTUAL"),
    "from strict to none, with the clients": ("STRICT ISTIO_MUTUAL", "DISABLE DISABLE"),
    "from none to strict, with the clients": ("DISABLE DISABLE", "STRICT ISTIO_MUTUAL"),
    "from none to strict, clients on their own": ("DISABLE", "STRICT ISTIO_MUTUAL"),
    "from strict to none, clients on their own": ("STRICT", "DISABLE DISABLE"),
}
IN_ANY_ORDER = "to strict"
"""Automatic mTLS sends mTLS before and after: this alone is safe in whatever order it arrives."""


def state(words: str) -> list[dict[str, Any]]:
    """Return a PeerAuthentication of a mode, and with a second word a DestinationRule for each service."""
    server, *client = words.split()
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "spec": {"mtls": {"mode": server}},
    }
    rules = [
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"host": name, "trafficPolicy": {"tls": {"mode": mode}}},
        }
        for mode in client
        for name in ("web", "db")
    ]
    return [policy | {"metadata": {"name": "default", "namespace": "default"}}, *rules]


async def changed(
    directory: Path, ends: tuple[str, str], *command: str, seed: int = 1, delays: Delays = BRISK
) -> RunReport:
    """Make a change under load by a Python program and its arguments, to which the file is added."""
    live, desired = map(state, ends)
    file = directory / "desired.yaml"
    file.write_text(yaml.safe_dump_all(desired))
    scene = Scene(live=[*SERVICES, *live], desired=desired, proxies=2, seed=seed, delays=delays, mutual_tls=True)
    return await run_under_load((sys.executable, *command, str(file)), scene=scene, rate=200.0)


def sampled(changes: Iterable[str], seeds: int = 1, *, short: Collection[tuple[str, int]] = SAMPLE) -> list[object]:
    """Return each change with each seed, of which few stand in the short run."""
    return [
        pytest.param(
            change,
            seed,
            marks=[] if (change, seed) in short else [pytest.mark.long],
            id=f"{change}, seed {seed}",
        )
        for change in changes
        for seed in range(1, seeds + 1)
    ]


@pytest.mark.parametrize(("change", "seed"), sampled(CHANGES, SEEDS))
async def test_no_change_of_mutual_tls_loses_a_request(tmp_path: Path, change: str, seed: int) -> None:
    """Whichever Envoy is late: HTTP and TCP, from clients, and from the servers among each other."""
    report = await changed(tmp_path, CHANGES[change], *APPLY, seed=seed)
    assert (report.exit_code, report.tally.failed, report.tally.lost) == (0, 0, {}), report.to_document()
    assert report.tally.requests > 50


@pytest.mark.parametrize(("change", "seed"), sampled(CHANGES, SEEDS, short=KILLED))
async def test_a_killed_change_of_mutual_tls_goes_on_without_a_failed_request(
    tmp_path: Path, change: str, seed: int
) -> None:
    """SIGKILL up to six times: each run plans from what is live, with pins that an earlier one has left."""
    command = (KILLING, str(seed), sys.executable, *APPLY)
    report = await changed(tmp_path, CHANGES[change], *command, seed=seed)
    assert (report.exit_code, report.tally.failed, report.tally.lost) == (0, 0, {}), report.to_document()


@pytest.mark.parametrize(("change", "seed"), sampled(one for one in CHANGES if one != IN_ANY_ORDER))
async def test_the_same_change_at_once_loses_requests(tmp_path: Path, change: str, seed: int) -> None:
    """ISTIO.md 6.5: also with PERMISSIVE as one end, which alone does not help on the way to DISABLE or from it."""
    report = await changed(tmp_path, CHANGES[change], *AT_ONCE, seed=seed, delays=SLOW)
    assert (report.exit_code, report.tally.lost) == (0, {}), report.to_document()
    assert report.tally.failed > 0


async def test_strict_alone_is_safe_in_any_order(tmp_path: Path) -> None:
    """Which is why it is planned as one step."""
    report = await changed(tmp_path, CHANGES[IN_ANY_ORDER], *AT_ONCE, delays=SLOW)
    assert (report.exit_code, report.tally.failed, report.tally.lost) == (0, 0, {})
