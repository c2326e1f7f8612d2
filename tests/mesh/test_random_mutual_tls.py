"""Random changes of mutual TLS on real Envoys under load: whatever is planned loses no request.

The worlds are those of the plans' own properties: policies of the mesh, of a namespace, and of some pods and one of
their ports; rules in three namespaces, with ``tls`` for all, for a port, or for none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings

from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.mesh import Scene
from safeapply.sandbox.run import run_under_load
from tests.mesh.counts import COUNTS
from tests.plans.test_mtls_properties import World, worlds
from tests.plans.tls_oracle import CLIENTS, PORTS, SERVERS, SERVICE, Mesh, Spec, at, conflicts

LABELS = {"world": "drawn"}
GROUPS = {"PeerAuthentication": "security.istio.io", "DestinationRule": "networking.istio.io"}
PROXY = {"name": "istio-proxy", "image": "istio/proxyv2", "args": ["proxy", "sidecar"]}
APPLICATION = {"name": "app", "image": "app"}
ENOUGH = 60
"""Worlds that are drawn for each that is wanted."""
REFUSED = 4


def stories(number: int, *, first: int) -> tuple[World, ...]:
    """Return some changes of a seed, always the same ones, between two states in which nothing is reset at rest."""
    found: list[World] = []

    @seed(first)
    @settings(
        max_examples=ENOUGH * number,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds())
    def collect(world: World) -> None:
        live, desired = world
        told = len(found) >= number or live == desired or world in found
        # Of two pods of which one refuses, requests fail by chance: no load can judge that.
        if not told and not conflicts(at(live)) and not conflicts(at(desired)):
            found.append(world)

    collect()
    return tuple(found)


def documents(mesh: Mesh) -> list[dict[str, Any]]:
    """Return the policies and rules, and the service that they are about."""
    ports = [{"name": f"http-{port}", "port": port, "targetPort": target} for port, target in PORTS.items()]
    service = _document("v1", "Service", SERVICE, "web", {"selector": {"app": "web"}, "ports": ports})
    return [service, *(_drawn(name, spec) for name, spec in mesh.items() if spec is not None)]


def pods() -> Iterator[dict[str, Any]]:
    """Yield a client in each namespace, and the servers."""
    for space in CLIENTS:
        yield _document("v1", "Pod", space, "client", {"containers": [APPLICATION, PROXY]})
    for version in SERVERS:
        pod = _document("v1", "Pod", SERVICE, version, {"containers": [APPLICATION, PROXY]})
        yield {**pod, "metadata": {**pod["metadata"], "labels": {"app": "web", "version": version}}}


def _drawn(name: str, spec: Spec) -> dict[str, Any]:
    kind, namespace, short = name.split("/")
    return _document(f"{GROUPS[kind]}/v1", kind, namespace, short, spec)


def _document(version: str, kind: str, namespace: str, name: str, spec: Spec) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": LABELS}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def _write(directory: Path, desired: list[dict[str, Any]]) -> None:
    directory.mkdir()
    (directory / "desired.yaml").write_text(yaml.safe_dump_all(desired))


async def tell(world: World, number: int, directory: Path) -> None:
    """Live one change under load; the delays are drawn by its number."""
    live, desired = map(documents, world)
    _write(directory, desired)
    draws = Random(number)
    delays = Delays(lag=Span(0.0, draws.uniform(0.05, 0.4)), push=Span(0.0, draws.uniform(0.05, 0.6)))
    scene = Scene(live=[*live, *pods()], proxies=1, seed=number, delays=delays, mutual_tls=True)
    words = ("apply", "-f", str(directory), "--yes", "--prune", "-l", "world=drawn", "--barrier-timeout", "20s")
    report = await run_under_load(
        (sys.executable, "-m", "safeapply", *words, "--soak", "200ms"), scene=scene, rate=200.0
    )
    told = f"{world}\n{report.to_document()}"
    assert report.exit_code in {0, REFUSED}, told
    assert not report.tally.failed, told
    COUNTS["mutual TLS: " + ("refused" if report.exit_code else "applied")] += 1
    COUNTS["mutual TLS: requests that both ends serve"] += report.tally.requests


async def test_a_sample_of_random_changes_of_mutual_tls(tmp_path: Path) -> None:
    """Two of them; ``make test-long`` runs many more."""
    for number, world in enumerate(stories(2, first=1)):
        await tell(world, number, tmp_path / str(number))


@pytest.mark.long
@pytest.mark.parametrize("first", range(10, 20))
async def test_many_random_changes_of_mutual_tls(tmp_path: Path, first: int) -> None:
    """Six for each seed."""
    for number, world in enumerate(stories(6, first=first)):
        await tell(world, 100 * first + number, tmp_path / str(number))
