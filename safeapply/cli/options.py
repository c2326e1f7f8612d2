"""The options that several commands share, under the names that kubectl and istioctl gave them (PEERS.md 7)."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from safeapply.commands.choices import DryRun, OnTimeout, Via

__all__ = [
    "ApplySetName",
    "Digest",
    "DryRun",
    "Exclude",
    "Filenames",
    "ForceConflicts",
    "IstioNamespace",
    "Kustomize",
    "Live",
    "LockNamespace",
    "LockTimeout",
    "MaxConnections",
    "MetricsFile",
    "NamespaceName",
    "NoRecord",
    "OnTimeout",
    "OnTimeoutOption",
    "Output",
    "OutputFormat",
    "Phases",
    "PlanFormat",
    "PlanOutput",
    "ProxyAddresses",
    "Prune",
    "Recursive",
    "Report",
    "RolloutFormat",
    "RolloutOutput",
    "SaveTo",
    "SavedPlan",
    "Selector",
    "SkipChecks",
    "Soak",
    "StepTimeout",
    "Timeout",
    "Verbose",
    "Via",
    "ViaOption",
    "Yes",
]


class OutputFormat(Enum):
    """How the result is written to standard output."""

    TEXT = "text"
    JSON = "json"


class PlanFormat(Enum):
    """How a plan is written to standard output."""

    TEXT = "text"
    JSON = "json"
    NAME = "name"
    MERMAID = "mermaid"
    HTML = "html"


class RolloutFormat(Enum):
    """How a rollout is told on standard output."""

    TEXT = "text"
    JSON = "json"
    NAME = "name"
    EVENTS = "events"


Filenames: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--filename", "-f", help="File or directory of manifests, or - for standard input; repeatable."),
]
Kustomize: TypeAlias = Annotated[
    str | None,
    typer.Option("--kustomize", "-k", metavar="DIR", help="Kustomization, which kustomize or kubectl builds."),
]
Recursive: TypeAlias = Annotated[
    bool, typer.Option("--recursive", "-R", help="Read directories below those given with -f, too.")
]
NamespaceName: TypeAlias = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace of objects that do not name one.")
]
Output: TypeAlias = Annotated[OutputFormat, typer.Option("--output", "-o", help="Form of the result.")]
PlanOutput: TypeAlias = Annotated[
    PlanFormat, typer.Option("--output", "-o", help="Form of the plan; html is one page that needs no other file.")
]
RolloutOutput: TypeAlias = Annotated[
    RolloutFormat,
    typer.Option("--output", "-o", help="Form of the result; events tells each one as a line of JSON meanwhile."),
]
IstioNamespace: TypeAlias = Annotated[
    str, typer.Option("--istio-namespace", "--istioNamespace", "-i", help="Istio's root namespace.")
]
Soak: TypeAlias = Annotated[
    str,
    typer.Option(
        "--soak",
        help="Wait this long between the last reference to a subset and its removal, for requests that are parked "
        "in a filter (ext_authz, fault, wasm).",
    ),
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Go ahead without asking.")]
StepTimeout: TypeAlias = Annotated[
    str, typer.Option("--step-timeout", "--barrier-timeout", help="How long one wait of a step may take.")
]
Timeout: TypeAlias = Annotated[
    str, typer.Option("--timeout", help="How long the waits of the whole rollout may take; 0 for no limit.")
]
OnTimeoutOption: TypeAlias = Annotated[
    OnTimeout,
    typer.Option(
        "--on-timeout",
        help="When a wait takes too long, or a workload fails: stop where it is safe, or roll back.",
    ),
]
NoRecord: TypeAlias = Annotated[
    bool, typer.Option("--no-record", help="Keep no record of what is found, for `safeapply rollback`.")
]
LockTimeout: TypeAlias = Annotated[
    str, typer.Option("--lock-timeout", help="How long to wait for another rollout to end; 0 for not at all.")
]
LockNamespace: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--lock-namespace",
        metavar="NAMESPACE",
        help="Where the Lease is that keeps two rollouts apart, and what is recorded of them; the same for all who "
        "roll out to a mesh.",
        show_default="Istio's root namespace",
    ),
]
MaxConnections: TypeAlias = Annotated[
    int, typer.Option("--max-connections", min=1, help="How many Envoys may be asked at once.")
]
Exclude: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="[CONTEXT/]NAMESPACE/POD",
        help="A proxy that does not count: nothing is waited for there, and it may lose requests. '*' stands for "
        "any part of a name; repeatable.",
    ),
]
ViaOption: TypeAlias = Annotated[
    Via,
    typer.Option(
        "--via", help="How Envoys are asked: through port-forward, pilot-agent by exec, or at --proxy-addresses."
    ),
]
ProxyAddresses: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--proxy-addresses",
        metavar="FILE",
        help="With --via url: lines of [CONTEXT/]NAMESPACE/POD URL; the admin port is at http://HOST:PORT or "
        "unix:///PATH.",
    ),
]
ForceConflicts: TypeAlias = Annotated[
    bool, typer.Option("--force-conflicts", help="Take fields over that another field manager owns.")
]
Report: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write what was done and waited for here: as JSON, or as a page where FILE ends in .html.",
    ),
]
MetricsFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--metrics-file", metavar="FILE", help="Write the figures here as OpenMetrics text, also where it fails."
    ),
]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell every change of a count, line by line.")
]
Phases: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--phase",
        metavar="widen,switch,narrow",
        help="Take only the steps of these phases, and wait until the others could follow: for another run, after "
        "what some other tool does in between.",
        show_default="all of them",
    ),
]
SaveTo: TypeAlias = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Save the plan here, for safeapply apply FILE."),
]
Digest: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--digest",
        metavar="sha256:...",
        help="Carry a saved plan out without asking, if it is the one for which plan --out has printed this.",
    ),
]
SavedPlan: TypeAlias = Annotated[
    Path | None,
    typer.Argument(
        metavar="[PLAN]", help="A plan that was saved by plan --out, instead of -f.", show_default=False
    ),
]
SkipChecks: TypeAlias = Annotated[
    bool, typer.Option("--skip-checks", help="Go ahead although the change would break what `check` looks for.")
]
Live: TypeAlias = Annotated[
    str | None, typer.Option("--live", help="Plan against this directory instead of a cluster.", metavar="DIR")
]
Prune: TypeAlias = Annotated[
    bool, typer.Option("--prune", help="Delete what is not in the files any more, as far as --applyset or -l goes.")
]
ApplySetName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--applyset",
        metavar="[RESOURCE/]NAME",
        help="With --prune: the object that keeps what belongs together, by default a Secret; made where it is "
        "missing, and the same as kubectl's (KEP-3659).",
    ),
]
Selector: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--selector", "-l", help="With --prune: delete only Istio objects with these labels: app=shop,..."
    ),
]
