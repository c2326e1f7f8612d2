"""One change, made four ways on four equal meshes under load: what ``safeapply demo`` shows.

The change: a subset is renamed, and a second host loses one of its two. In kubectl's order; by hand as Istio's
documentation advises, with a few seconds between the steps; and by safeapply. Every mesh is seeded alike, so the
delays of one are those of the others.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from safeapply.errors import SandboxError
from safeapply.sandbox.controlplane.deliveries import Delivery, propagation
from safeapply.sandbox.controlplane.snapshots import Write
from safeapply.sandbox.delays import DEFAULT_DELAYS, Delays
from safeapply.sandbox.loading import read_documents
from safeapply.sandbox.mesh import Scene
from safeapply.sandbox.run import DEFAULT_RATE, RunReport, run_under_load

__all__ = ["Demo", "Method", "Run", "barriers", "demo", "methods", "print_demo"]

MANIFESTS = Path(str(resources.files("safeapply.sandbox") / "demo_mesh"))


@dataclass(frozen=True, slots=True)
class Method:
    """A way to make the change."""

    name: str
    command: tuple[str, ...]
    what: str
    tells: bool = False
    """Whether the command prints a report of its own, as JSON."""


@dataclass(frozen=True, slots=True)
class Run:
    """One way, and what came of it."""

    method: Method
    report: RunReport
    outcome: Mapping[str, Any]
    """What the command said of itself, if it did."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What came of each way."""

    runs: tuple[Run, ...]

    def to_document(self) -> Mapping[str, Any]:
        """Return the JSON that ``safeapply demo -o json`` prints."""
        first = self.runs[0].report
        return {
            "runs": [_line(run) for run in self.runs],
            "proxies": len(first.proxies),
            "seed": first.scene.seed,
            "rps": first.rate,
            "delays": first.to_document()["delays"],
        }


async def demo(
    *,
    proxies: int = 10,
    seed: int = 1,
    delays: Delays = DEFAULT_DELAYS,
    rate: float = DEFAULT_RATE,
    ways: Sequence[Method] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Demo:
    """Make the change in each way on a mesh of its own, and return what became of the requests.

    Args:
        proxies: how many Envoys each mesh has.
        seed: what the delays are drawn from, the same for all.
        delays: the spans to draw from.
        rate: requests per second, in all.
        ways: the ways to make the change; all of them if not given.
        tell: is told what happens next.

    Raises:
        SandboxError: a mesh could not be started, or a command failed.
    """
    live, desired = read_documents([MANIFESTS / "live"]), read_documents([MANIFESTS / "desired"])
    scene = Scene(live=live, desired=desired, proxies=proxies, seed=seed, delays=delays)
    runs = []
    for method in methods() if ways is None else ways:
        tell(f"{method.name}: {method.what}")
        runs.append(await _run(method, scene, rate))
    return Demo(tuple(runs))


def methods() -> tuple[Method, ...]:
    """Return the ways to make the change."""
    safeapply = (
        sys.executable,
        "-m",
        "safeapply",
        "apply",
        "-f",
        str(MANIFESTS / "desired"),
        "--yes",
        "-o",
        "json",
    )
    return (
        Method("kubectl", _script(None), "one kubectl apply -f of the directory"),
        Method("sleep-1s", _script(1), "by hand: add, wait 1 s, switch, wait 1 s, remove"),
        Method("sleep-5s", _script(5), "by hand: add, wait 5 s, switch, wait 5 s, remove"),
        Method("safeapply", safeapply, "safeapply apply -f of the directory", tells=True),
    )


def barriers(writes: Sequence[Write], deliveries: Sequence[Delivery]) -> tuple[tuple[Write, ...], ...]:
    """Return the writes in groups, each of which had reached every proxy before the next was begun."""
    groups: list[tuple[Write, ...]] = []
    for write in writes:
        if groups and _arrival(groups[-1], deliveries) > write.at:
            groups[-1] = (*groups[-1], write)
        else:
            groups.append((write,))
    return tuple(groups)


def print_demo(result: Demo, console: Console) -> None:
    """Print the table: what failed, why, and how long the change took."""
    document = result.to_document()
    table = Table(title="One change, four ways", caption=_caption(result), caption_justify="left", min_width=80)
    for heading in ("method", "requests", "failed", "flags", "seconds", "soak", "propagation"):
        table.add_column(heading, justify="left" if heading in {"method", "flags"} else "right")
    for line in document["runs"]:
        flags = ", ".join(f"{flag} {count}" for flag, count in line["byFlag"].items())
        times = (line["seconds"], line["soakSeconds"], line["propagationSeconds"])
        figures = [f"{seconds:.1f}" for seconds in times]
        failed = f"[red]{line['failed']}[/red]" if line["failed"] else "[green]0[/green]"
        table.add_row(line["method"], str(line["requests"]), failed, flags or "-", *figures)
    console.print(table, highlight=False)


def _script(pause: int | None) -> tuple[str, ...]:
    """Return a shell command that applies the steps with a pause between them, or all at once without one."""
    if shutil.which("kubectl"):
        apply = "kubectl apply --validate=false -f {}"
    else:
        apply = f"{shlex.quote(sys.executable)} -m safeapply.sandbox.applying {{}}"
    steps = ("desired",) if pause is None else ("widen", "switch", "desired")
    commands = (apply.format(shlex.quote(str(MANIFESTS / step))) for step in steps)
    return ("sh", "-ec", f"; sleep {pause}; ".join(commands))


async def _run(method: Method, scene: Scene, rate: float) -> Run:
    with tempfile.TemporaryFile("w+") as output:
        report = await run_under_load(method.command, scene=scene, rate=rate, output=output)
        output.seek(0)
        said = output.read()
    if report.exit_code:
        raise SandboxError(f"{method.name} ended with exit code {report.exit_code}\n{said}".rstrip())
    return Run(method, report, json.loads(said) if method.tells else {})


def _groups(run: Run) -> tuple[tuple[Write, ...], ...]:
    """Return the writes between barriers: safeapply tells its steps, from the others they are seen."""
    by_version = {write.resource_version: write for write in run.report.writes}
    steps = (
        tuple(
            by_version[int(one["resourceVersion"])]
            for one in step["writes"]
            if one["resourceVersion"].isdigit() and int(one["resourceVersion"]) in by_version
        )
        for step in run.outcome.get("steps", ())
    )
    return tuple(filter(None, steps)) or barriers(run.report.writes, run.report.deliveries)


def _line(run: Run) -> Mapping[str, Any]:
    report, groups = run.report, _groups(run)
    begun = report.writes[0].at if report.writes else report.started
    arrived = max((_arrival(group, report.deliveries) for group in groups), default=begun)
    # Who does not wait is not done when the command ends, but when the last proxy has got everything.
    seconds = run.outcome.get("secondsSinceFirstWrite", max(report.ended, arrived) - begun)
    return {
        "method": run.method.name,
        "requests": report.tally.requests,
        "failed": report.tally.failed,
        "byFlag": report.tally.by_flag,
        "seconds": round(seconds, 3),
        "commandSeconds": round(report.ended - report.started, 3),
        "soakSeconds": run.outcome.get("soakSeconds", 0),
        "propagationSeconds": round(sum(propagation(group, report.deliveries) for group in groups), 3),
        "barriers": len(groups),
    }


def _arrival(group: Sequence[Write], deliveries: Sequence[Delivery]) -> float:
    return max(write.at for write in group) + propagation(group, deliveries)


def _caption(result: Demo) -> str:
    report = result.runs[0].report
    delays = report.scene.delays
    return "\n".join(
        (
            "seconds: from the first write to the last proxy; soak: the part of them that",
            "is left for requests under way; propagation: the slowest proxy's, as drawn",
            f"{len(report.proxies)} Envoys, {report.scene.replicas} istiod replicas",
            f"{report.rate:.0f} requests/s, seed {report.scene.seed}",
            f"informer lag {delays.lag} per replica and kind, debounce {delays.debounce} s,",
            f"push delay {delays.push} per proxy",
        )
    )
