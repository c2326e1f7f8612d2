"""What a rollout takes on a real control plane: over what the Envoys really took, and beside kubectl.

Needs a place where a cluster may run: ``make bench-real``.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import yaml

from benchmarks.figures import Figure
from tests.real.changes import CHANGES, laid_out
from tests.real.controlplane import ControlPlane, until
from tests.real.mesh import SAFEAPPLY, Mesh
from tests.real.namespaces import inside
from tests.real.places import Place
from tests.real.programs import built

__all__ = ["figures"]

PACE = 0.005
RUNS = 5
OBJECTS = 200
RENAME = CHANGES["rename a subset"]
DIFFERENCES = 1
"""How a ``diff`` ends that shows something."""


@dataclass(slots=True)
class Watcher:
    """Asks Envoys every 5 ms when a fact became true, without a word of the tool that is measured."""

    networks: Sequence[int]
    over: threading.Event = field(default_factory=threading.Event)
    true_since: dict[str, dict[int, float]] = field(default_factory=dict)

    def run(self) -> None:
        """Ask until it is over."""
        lines = {network: _Admin(network) for network in self.networks}
        while not self.over.is_set():
            begun = time.time()
            for network, line in lines.items():
                self._note(network, line)
            time.sleep(max(0.0, PACE - (time.time() - begun)))

    def _note(self, network: int, line: _Admin) -> None:
        clusters, routes = line.get("/clusters"), line.get("/config_dump?resource=dynamic_route_configs")
        facts = {
            "added": _has_endpoint(clusters, "|stable-v1|reviews"),
            "moved": b"|v1|reviews" not in routes,
            "gone": b"|v1|reviews" not in clusters,
        }
        for fact, holds in facts.items():
            since = self.true_since.setdefault(fact, {})
            if holds:
                since.setdefault(network, time.time())
            else:
                since.pop(network, None)

    def shows(self, fact: str) -> bool:
        """Tell whether all Envoys show a fact now."""
        return len(self.true_since.get(fact, ())) == len(self.networks)

    def slowest(self, fact: str) -> float:
        """Return when the last Envoy showed a fact, in seconds of the epoch."""
        assert self.shows(fact), fact
        return max(self.true_since[fact].values())


def _has_endpoint(clusters: bytes, name: str) -> bool:
    return any(name.encode() in line and b"::health_flags::healthy" in line for line in clusters.splitlines())


class _Admin(http.client.HTTPConnection):
    """The admin port of an Envoy in a network."""

    def __init__(self, network: int) -> None:
        super().__init__("127.0.0.1", 15000, timeout=5)
        self._network = network

    def connect(self) -> None:
        with inside(self._network):
            self.sock = socket.socket()
        self.sock.connect((self.host, self.port))

    def get(self, path: str) -> bytes:
        self.request("GET", path)
        return self.getresponse().read()


def figures() -> Iterator[Figure]:
    """Yield a rename on an idle mesh of three sidecars, and 400 objects beside kubectl."""
    run = Path(os.environ["SAFEAPPLY_REAL_RUN"])
    with Mesh(built(), run / "mesh") as mesh:
        yield from _propagation(mesh, run)
    with ControlPlane(built(), run / "cluster") as cluster:
        yield from _many_objects(cluster, run)


def _propagation(mesh: Mesh, run: Path) -> Iterator[Figure]:
    over, ratio = [], []
    for number in range(RUNS):
        directory = run / f"rename-{number}"
        directory.mkdir()
        with Place(mesh, f"rename-{number}") as place:
            laid_out(place, RENAME, directory)
            whole, rollout, slowest = _renamed(place, directory)
        over.append(whole - slowest)
        ratio.append(rollout / slowest)
        print(
            f"run {number}: command {whole:.2f} s, rollout {rollout:.2f} s, propagation {slowest:.2f} s", flush=True
        )
    for what, values, target in (
        ("whole command of a rename less its three slowest propagations", over, "<= 1.2"),
        ("first write to last barrier over the three slowest propagations", ratio, "<= 1.25"),
    ):
        spread = f"{min(values):.2f} to {max(values):.2f}"
        yield Figure(f"{what}, {RUNS} runs ({spread}), median", round(statistics.median(values), 2), "", target)


def _renamed(place: Place, directory: Path) -> tuple[float, float, float]:
    """Return the seconds of the command, of the rollout in it, and of the true propagation of its three writes."""
    pods = place.mesh.directory / "pods" / place.name
    watcher = Watcher([int(file.read_text()) for file in pods.iterdir()])
    watching = threading.Thread(target=watcher.run)
    watching.start()
    begun = time.time()
    result = place.safeapply("apply", "-f", str(directory), "--yes", "--soak", "0", "-o", "events")
    whole = time.time() - begun
    until(lambda: watcher.shows("gone"), "every Envoy has let go of the subset", seconds=10.0)
    watcher.over.set()
    watching.join()
    assert result.code == 0, result.err
    events = [json.loads(line) for line in result.out.splitlines()]
    writes = [_seconds(one) for one in events if one["type"] == "objectWritten"]
    first, second, third = writes
    last = max(_seconds(one) for one in events if one["type"] == "barrierOpened")
    slowest = (watcher.slowest("added") - first, watcher.slowest("moved") - second, watcher.slowest("gone") - third)
    return whole, last - first, sum(max(0.0, one) for one in slowest)


def _seconds(event: Mapping[str, str]) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


def _many_objects(cluster: ControlPlane, run: Path) -> Iterator[Figure]:
    """Yield how long it takes with 400 objects of which none, a tenth, all change, and how long kubectl takes."""
    cluster.kubectl("apply", "--server-side", "-f", str(cluster.programs.crds))
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    cluster.kubectl("create", "namespace", "istio-system")
    versions = {
        "none": _files(run / "none", lambda _: 5),
        "a tenth": _files(run / "tenth", lambda number: 6 if number % 10 == 0 else 5),
        "all": _files(run / "all", lambda _: 7),
    }
    own = ("--field-manager=safeapply",)
    for what, directory in versions.items():
        for verb, other in (
            ("plan", ("diff", "--server-side", *own)),
            ("diff", ("diff", "--server-side", *own)),
            ("apply", ("apply", "--server-side", *own)),
        ):
            seconds: dict[str, list[float]] = {"kubectl": [], "safeapply": []}
            for _ in range(3):
                _reset(cluster, versions["none"])
                seconds["kubectl"].append(_timed(cluster, ("kubectl", *other, "-f", str(directory))))
                _reset(cluster, versions["none"])
                yes = ("--yes",) if verb == "apply" else ()
                seconds["safeapply"].append(_timed(cluster, (*SAFEAPPLY, verb, *yes, "-f", str(directory))))
            ours, theirs = (statistics.median(seconds[name]) for name in ("safeapply", "kubectl"))
            name = f"400 objects, {what} changed: {verb} {ours:.2f} s, kubectl {other[0]} {theirs:.2f} s"
            yield Figure(name, round(ours / theirs, 2), "ratio", "<= 1")


def _reset(cluster: ControlPlane, directory: Path) -> None:
    cluster.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--field-manager=safeapply", "-f", str(directory))
    )


def _timed(cluster: ControlPlane, command: Sequence[str]) -> float:
    # pip compiles what it installs, so a run that compiles all modules anew would measure what no user waits for.
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONPYCACHEPREFIX": str(cluster.directory / "bytecode"),
        "KUBECONFIG": str(cluster.kubeconfig),
    }
    begun = time.perf_counter()
    ended = subprocess.run(command, env=environment, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - begun
    # A diff ends with 1 where something differs, and so does Python where a program breaks.
    good = {0, DIFFERENCES} if "diff" in command else {0}
    assert ended.returncode in good, ended.stderr.decode()
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    return seconds


def _files(directory: Path, timeout: Callable[[int], int]) -> Path:
    """Write 200 VirtualServices and 200 DestinationRules, and return where."""
    directory.mkdir()
    documents = [document for number in range(OBJECTS) for document in _pair(number, timeout(number))]
    (directory / "all.yaml").write_text(yaml.safe_dump_all(documents))
    return directory


def _pair(number: int, timeout: int) -> Iterator[Mapping[str, object]]:
    name = f"service-{number}"
    route = {"route": [{"destination": {"host": name, "subset": "v1"}}], "timeout": f"{timeout}s"}
    pool = {"connectionPool": {"tcp": {"maxConnections": timeout}}}
    rule = {"host": name, "trafficPolicy": pool, "subsets": [{"name": "v1", "labels": {"version": "v1"}}]}
    for kind, spec in (("VirtualService", {"hosts": [name], "http": [route]}), ("DestinationRule", rule)):
        metadata = {"name": name, "namespace": "default"}
        yield {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


if __name__ == "__main__":
    for figure in figures():
        print(figure, flush=True)
