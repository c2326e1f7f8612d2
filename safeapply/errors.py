"""Every error that safeapply raises on purpose, in one tree.

    SafeApplyError
    ├── UsageError                 the command line contradicts itself           exit 2
    ├── ManifestsError             faults in the files, all of them at once      exit 1
    ├── ClusterError               the API server                                exit 1
    │   ├── ClusterUnreachableError
    │   │   └── RemoteUnreachableError  another cluster of the mesh              exit 3
    │   ├── ForbiddenError         the user lacks rights
    │   ├── RejectedError          the API server refused one object
    │   ├── ClusterChangedError    an object is not what the plan saw            exit 5
    │   └── StalePlanError         a saved plan is not what would be planned now exit 5
    ├── ProxyError                 one Envoy could not be read
    ├── IstiodError                one replica of istiod could not be asked
    ├── BarrierTimeoutError        an expectation outlived its deadline          exit 3
    ├── WorkloadFailedError        a Deployment or Job that will not come up     exit 1
    ├── RolledBackError            one of these two, and then the way back       as its cause
    ├── RefusedError               no safe order                                 exit 4
    ├── LockedError                another rollout holds the Lease               exit 6
    ├── InterruptedRolloutError    Ctrl-C or SIGTERM                             exit 130
    └── SandboxError               the embedded mesh                             exit 1

Names end in ``Error``; each carries fields as well as its sentence, and each sentence ends with the
operator's next move; ``next_step`` is that of the whole class, for docs/errors.md. Library exceptions never leave
an adapter: they are wrapped with ``from``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from safeapply.visible import indented, visible, visible_lines

__all__ = [
    "BarrierTimeoutError",
    "ClusterChangedError",
    "ClusterError",
    "ClusterUnreachableError",
    "Fault",
    "ForbiddenError",
    "InterruptedRolloutError",
    "IstiodError",
    "LockedError",
    "ManifestsError",
    "MeshConfigError",
    "Missing",
    "ProxyError",
    "Refused",
    "RefusedError",
    "RejectedError",
    "RemoteUnreachableError",
    "RolledBackError",
    "SafeApplyError",
    "SandboxError",
    "StalePlanError",
    "UsageError",
    "WorkloadFailedError",
]


SHOWN_STRAGGLERS = 10


class SafeApplyError(Exception):
    """Anything that safeapply tells its user instead of a traceback."""

    next_step: ClassVar[str] = "Read the sentence; it ends with what to do"
    parts_its_lines: ClassVar[bool] = False
    """Whether every line break in its sentence is of ours; where it is not, no line begins with foreign words."""
    exit_code = 1

    def __str__(self) -> str:
        """Return the sentence, in which whatever came from outside is visible and nothing more."""
        said = super().__str__()
        return visible_lines(said) if self.parts_its_lines else indented(said)


class UsageError(SafeApplyError):
    """The command line asks for something that cannot be."""

    next_step = "Correct the command line; `--help` lists the options. Nothing was written"
    exit_code = 2


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong in one file: where it stands, and what to do about it."""

    file: str
    line: int
    """1-based; 0 where the fault concerns the whole file."""
    message: str

    def __str__(self) -> str:
        """Return ``file:line: message``, as compilers do."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return visible(f"{place}: {self.message}")


class ManifestsError(SafeApplyError):
    """The manifests cannot be used; every fault of every file is listed."""

    next_step = "Correct each file at the line that is named. Nothing was written"
    parts_its_lines = True

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__("\n".join(map(str, self.faults)))


class MeshConfigError(SafeApplyError):
    """Istio's own configuration does not say who sees an object."""

    next_step = "Mend the ConfigMap that is named. Nothing was written"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Istio's MeshConfig cannot be used: {visible(reason)}")


class ClusterError(SafeApplyError):
    """The API server said no, or something that cannot be understood."""

    next_step = "Read what the API server said, and run the same command again"


class ClusterUnreachableError(ClusterError):
    """No API server answered at the address of the kubeconfig."""

    next_step = "Look at `--context`, `--kubeconfig` and the network, and run the same command again"


class RemoteUnreachableError(ClusterUnreachableError):
    """Another cluster of the mesh does not tell which proxies it has, so nothing more is written."""

    next_step = "Look at the cluster that is named, and run the same command again; the mesh is in a safe state"
    exit_code = 3

    def __init__(self, cluster: str, reason: str) -> None:
        self.cluster = cluster
        self.reason = reason
        super().__init__(
            f"cluster {visible(cluster)} of the mesh cannot be read ({visible(reason)}): what its proxies use is "
            "not known, so nothing more is written; the mesh is in a safe state. When it answers, run the same "
            "command again"
        )


@dataclass(frozen=True, slots=True, order=True)
class Missing:
    """A right that the user lacks."""

    verb: str
    resource: str
    """As RBAC calls it, with subresource and group: ``pods/portforward``, ``leases.coordination.k8s.io``."""
    namespace: str
    """Empty for all namespaces, and for what stands in none."""
    name: str
    """The object; empty for all."""
    why: str
    """What it is needed for: ``to know which Envoys run``."""

    def __str__(self) -> str:
        """Return ``list pods in all namespaces, to know which Envoys run``."""
        where = f"in namespace {self.namespace}" if self.namespace else "in all namespaces"
        what = f"{self.resource} {self.name}" if self.name else self.resource
        return f"{self.verb} {what} {where}" + (f", {self.why}" if self.why else "")


class ForbiddenError(ClusterError):
    """The user of the kubeconfig may not do what safeapply has to do."""

    next_step = "Have `safeapply rbac -f DIR` applied by an administrator"
    parts_its_lines = True

    def __init__(self, missing: Sequence[Missing], user: str = "") -> None:
        self.missing = tuple(missing)
        self.user = user
        listed = "".join(f"\n  {visible(str(one))}" for one in self.missing)
        super().__init__(
            f"{visible(user) or 'the user of this kubeconfig'} is not allowed to{listed}\nAsk an administrator to "
            "apply what `safeapply rbac` prints: with the same -f, exactly what these files take"
        )


class RejectedError(ClusterError):
    """The API server refused one object; nothing of the step it stands in is retried."""

    next_step = "Mend the object that is named, and run the same command again"

    def __init__(self, resource: str, reason: str) -> None:
        self.resource = resource
        self.reason = reason
        super().__init__(f"{visible(resource)} was refused by the API server: {indented(reason)}")


class ClusterChangedError(ClusterError):
    """An object is no longer the one that the plan saw: plan again."""

    next_step = "Look at the difference, and run the same command again"
    parts_its_lines = True
    exit_code = 5

    def __init__(self, resource: str, reason: str, difference: Sequence[str] = ()) -> None:
        self.resource = resource
        self.reason = reason
        self.difference = tuple(difference)
        """What a plan that was made anew would do and this one would not."""
        told = "".join(f"\n  {visible(one)}" for one in self.difference)
        rest = f"; what remains would be another plan:{told}\nLook at it, and" if told else ";"
        super().__init__(
            f"{visible(resource)} changed since the plan was made ({visible(reason)}){rest} run the command again"
        )


class StalePlanError(ClusterError):
    """A saved plan is not what would be planned now."""

    next_step = "Make the plan again with `safeapply plan --out`, and look at it. Nothing was written"
    parts_its_lines = True
    exit_code = 5

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        told = "".join(f"\n  {visible(one)}" for one in self.reasons)
        super().__init__(
            f"the saved plan is stale:{told}\nNothing was written; make it again with safeapply plan --out"
        )


class ProxyError(SafeApplyError):
    """One proxy could not be asked; the barrier counts it as unknown, never as absent."""

    next_step = "Look at the pod that is named; if it shall not count, `--exclude [CONTEXT/]NAMESPACE/POD`"

    def __init__(self, proxy: str, reason: str) -> None:
        self.proxy = proxy
        self.reason = reason
        super().__init__(visible(f"{proxy}: {reason}"))


class IstiodError(SafeApplyError):
    """One replica of istiod could not be asked; nothing hangs on it, but whoever reads a report has to know."""

    next_step = "Look at the replica that is named; the rollout does not hang on it"

    def __init__(self, replica: str, reason: str) -> None:
        self.replica = replica
        self.reason = reason
        super().__init__(visible(f"{replica}: {reason}"))


class BarrierTimeoutError(SafeApplyError):
    """Some proxies did not show what was waited for; the mesh is in a safe state."""

    next_step = "Look at the proxies that are named, then run the same command to go on, or `safeapply rollback`"
    exit_code = 3

    def __init__(self, what: str, behind: str, stragglers: Sequence[str]) -> None:
        self.behind = behind
        self.stragglers = tuple(stragglers)
        more = len(self.stragglers) - SHOWN_STRAGGLERS
        named = "".join(f"\n  {visible(one)}" for one in self.stragglers[:SHOWN_STRAGGLERS])
        rest = f"\n  and {more} more" if more > 0 else ""
        super().__init__(f"{what}. {behind[:1].upper()}{visible(behind[1:])}{':' if named else ''}{named}{rest}")


class RolledBackError(SafeApplyError):
    """A rollout took too long or met a workload that failed, and all that it found is back."""

    next_step = "Mend what is named as the cause, and run the same command again; all is as it was"
    parts_its_lines = True

    def __init__(self, cause: SafeApplyError) -> None:
        self.exit_code = cause.exit_code
        super().__init__(f"{cause}\nrolled back: everything is as the rollout found it")


class WorkloadFailedError(SafeApplyError):
    """A controller has given up on a workload that requests were to be sent to; the mesh is in a safe state."""

    next_step = "Mend the workload that is named, and run the same command to go on, or `safeapply rollback`"

    def __init__(self, workload: str, why: str) -> None:
        self.workload = workload
        self.why = why
        super().__init__(
            f"{visible(f'{workload} {why}')}; the mesh is in a safe state: mend it, and the same command goes on "
            "from here"
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """One reason why nothing was written."""

    code: str
    """As in ``plan -o json``: ``no-safe-order``, ``foreign-owner``, the code of a finding, ..."""
    objects: tuple[str, ...]
    """As ``KIND NAMESPACE/NAME``."""
    proxies: str
    """On which the request would fail."""
    request: str
    """The request that would fail, and how."""
    remedy: str
    """What to do."""


class RefusedError(SafeApplyError):
    """No order of writes keeps the promise, so nothing was written."""

    next_step = "Do what stands behind each request; no order of writes is safe without it. Nothing was written"
    exit_code = 4

    def __init__(self, refusals: Sequence[Refused], message: str = "") -> None:
        told = "".join(f"\n  {visible(f'{one.request}; {one.remedy}')}" for one in refusals)
        super().__init__(message or f"nothing was written, because no order of writes is safe:{told}")
        self.refusals = tuple(refusals)


class LockedError(SafeApplyError):
    """Another rollout holds the Lease of this mesh."""

    next_step = "Wait for the other rollout to end, or give it longer with `--lock-timeout`"
    exit_code = 6


class InterruptedRolloutError(SafeApplyError):
    """The operator stopped the rollout before its next write."""

    next_step = "Run the same command to go on, or `safeapply rollback` to go back"
    parts_its_lines = True
    exit_code = 130


class SandboxError(SafeApplyError):
    """The embedded mesh could not be started, found or stopped."""

    next_step = "Do what the sentence says; `safeapply sandbox down` clears away what is left"
