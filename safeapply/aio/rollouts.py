"""What writes: ``apply``, ``delete`` and ``rollback``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Unpack

from safeapply.aio.options import ROOT, SOAK, Listener, Recording, Rolling, manner_of, only, pruning_of
from safeapply.commands.carrying_out import roll_back, roll_out
from safeapply.commands.choices import OnTimeout
from safeapply.commands.given import Manifests, given
from safeapply.commands.inputs import phases_of
from safeapply.commands.online import Wants
from safeapply.commands.planning import Planned, Wanted
from safeapply.errors import RefusedError
from safeapply.plans.plan import Plan
from safeapply.resources.objects import Namespace
from safeapply.rollout.events import Event, Wrote

__all__ = ["Rollout", "apply", "delete", "rollback"]


@dataclass(frozen=True, slots=True)
class Rollout:
    """What a rollout came to."""

    plan: Plan
    """What was planned at first; no steps where there was nothing to do."""
    events: tuple[Event, ...]
    """All that happened, in order; empty for a dry-run."""

    @property
    def written(self) -> tuple[Wrote, ...]:
        """The writes, in the order in which the API server acknowledged them."""
        return tuple(one for one in self.events if isinstance(one, Wrote))

    @property
    def seconds(self) -> float:
        """From the start of the rollout to its last event; 0 where nothing happened."""
        return self.events[-1].at - self.events[0].at if self.events else 0.0


async def apply(  # noqa: PLR0913  one parameter for each option
    manifests: Manifests,
    *,
    namespace: str | None = None,
    recursive: bool = False,
    prune: str | None = None,
    applyset: str | None = None,
    phase: str | None = None,
    checked: bool = True,
    force_conflicts: bool = False,
    **options: Unpack[Recording],
) -> Rollout:
    """Write manifests in an order that loses no request, waiting for the Envoys in between.

    Args:
        manifests: a path, or YAML text (a string with a line break), or an object as a dict, or several of these.
        namespace: of objects that name none; by default the context's.
        recursive: whether directories are read with all that is below them.
        prune: labels, as ``app=shop,tier=web``: live objects that have them and are not among the manifests go.
        applyset: ``NAME`` or ``RESOURCE/NAME`` of the parent of a set (KEP-3659), whose other members go.
        phase: ``widen,switch`` or ``narrow``: only the steps of these phases; by default all.
        checked: whether a change is refused that would add an error at rest.
        force_conflicts: whether fields are taken that others own.
        options: those of ``Recording``: among them ``dry_run``, ``soak``, ``timeout``, ``on_timeout`` and ``via``.

    Returns:
        The plan, and all that happened; the proxies show the last step.

    Raises:
        RefusedError: no order of writes is safe; nothing was written. Its ``refusals`` say what would fail.
        BarrierTimeoutError: a wait took too long; the mesh is in a safe state, and the same call goes on.
        WorkloadFailedError: a Deployment or Job will not come up; the mesh is in a safe state.
        RolledBackError: one of these two, and everything is as it was found.
        ClusterChangedError: somebody else changed what the plan rests on.
        LockedError: another rollout holds the Lease.
        ManifestsError: every fault of every manifest; nothing was written.
        ClusterError: the API server refused something, or fell silent.
        UsageError: the arguments contradict each other; nothing was written.
    """
    only(options, Recording)
    files = given(manifests, recursive=recursive, namespace=namespace)
    pruning, phases = pruning_of(prune, applyset), phases_of(phase)
    root, soak = options.get("istio_namespace", ROOT), options.get("soak", SOAK)

    def wants(default: Namespace) -> Wanted:
        wanted = Wanted.applied(files, default, pruning=pruning, root=root, soak=soak, checked=checked)
        return replace(wanted, phases=phases)

    return await _rolled_out(wants, options, force_conflicts=force_conflicts, deletion="pruned")


async def delete(
    manifests: Manifests, *, namespace: str | None = None, recursive: bool = False, **options: Unpack[Recording]
) -> Rollout:
    """Delete the objects of manifests: routes first, and what they name when no proxy names it any more.

    Arguments, result and errors are those of ``apply``.
    """
    only(options, Recording)
    files = given(manifests, recursive=recursive, namespace=namespace)
    root, soak = options.get("istio_namespace", ROOT), options.get("soak", SOAK)
    return await _rolled_out(lambda default: Wanted.deleted(files, default, root=root, soak=soak), options)


async def rollback(*, by: str = "", force_conflicts: bool = False, **options: Unpack[Rolling]) -> Rollout:
    """Go back to what the last rollout found, as carefully as it went in; once more, one further back.

    Other arguments, result and errors are those of ``apply``. The values of Secrets are not kept: they stay as they
    are.

    Args:
        by: from whose rollout, as ``kubectl auth whoami`` names users; by default only from one's own. Look at the
            plan of a dry-run before you go back by what somebody else has recorded.
        force_conflicts: whether fields are taken that others own.
        options: those of ``Rolling``.

    Raises:
        UsageError: there is nothing to go back from.
    """
    only(options, Rolling)
    script = _Script(options.get("on_event"))
    return script.outcome(await roll_back(manner_of(options, force_conflicts=force_conflicts), script, by))


async def _rolled_out(
    wants: Wants, options: Recording, *, force_conflicts: bool = False, deletion: str = "deleted"
) -> Rollout:
    manner = replace(
        manner_of(options, force_conflicts=force_conflicts),
        on_timeout=OnTimeout(options.get("on_timeout", "stop")),
        record=options.get("record", True),
        deletion=deletion,
    )
    script = _Script(options.get("on_event"))
    return script.outcome(await roll_out(wants, manner, script))


@dataclass(slots=True)
class _Script:
    """The operator of a rollout that a script has started: agrees to every plan that is safe."""

    listener: Listener | None
    seen: list[Event] = field(default_factory=list)

    async def agree(self, made: Planned) -> None:
        """Agree."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        """Pass on what happens, and keep it."""
        yield self._hear

    def _hear(self, event: Event) -> None:
        self.seen.append(event)
        if self.listener is not None:
            self.listener(event)

    def say(self, sentence: str) -> None:
        """Leave it: errors say the same."""

    def turning_back(self, why: str) -> None:
        """Leave it: the error in the end says the same."""

    def refused(self, made: Planned) -> None:
        """Leave it: ``outcome`` raises."""

    def ended(self, made: Planned, events: Sequence[Event]) -> None:
        """Leave it: the events were heard."""

    def outcome(self, made: Planned) -> Rollout:
        """Return what the rollout came to.

        Raises:
            RefusedError: it was not begun.
        """
        if refusals := made.plan.refusals:
            raise RefusedError(tuple(one.told for one in refusals))
        return Rollout(made.plan, tuple(self.seen))
