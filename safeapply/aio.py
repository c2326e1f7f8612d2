"""The library for scripts that have an event loop: what ``safeapply`` has by the same names, to be awaited.

Cancelling a task stops a rollout before its next write: writes that have begun come to their end, the Lease is
given back, and the same call made again goes on from there. Nothing is printed, and nothing is asked.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, ParamSpec

from safeapply.checks.findings import Finding
from safeapply.commands.carrying_out import plan_online, roll_back, roll_out
from safeapply.commands.checking import CLUSTER, check_cluster, check_files
from safeapply.commands.choices import DryRun, OnTimeout, Via
from safeapply.commands.given import Manifests, given
from safeapply.commands.inputs import Pruning
from safeapply.commands.manner import Manner
from safeapply.commands.planning import Planned, Wanted, plan_offline
from safeapply.commands.reach import reach_of
from safeapply.commands.waiting import Terms, wait_for
from safeapply.errors import RefusedError
from safeapply.istio.snapshot import MeshSettings
from safeapply.plans.plan import Plan
from safeapply.resources.objects import Namespace
from safeapply.rollout.events import Event, Wrote

# ASYNC109: asyncio.timeout could not tell which proxies were waited for.

__all__ = ["Manifests", "Rollout", "apply", "check", "delete", "events", "plan", "rollback", "wait"]

P = ParamSpec("P")
Listener = Callable[[Event], None]


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


async def plan(  # noqa: PLR0913  one parameter for each option
    manifests: Manifests,
    *,
    live: str | PathLike[str] | None = None,
    namespace: str | None = None,
    recursive: bool = False,
    prune: str | None = None,
    applyset: str | None = None,
    soak: float = 1.0,
    checked: bool = True,
    istio_namespace: str = "istio-system",
    kubeconfig: str | PathLike[str] | None = None,
    context: str | None = None,
) -> Plan:
    """Return the steps from live to desired, proved; nothing is written.

    Args:
        manifests: a path, or YAML text (a string with a line break), or an object as a dict, or several of these.
        live: a directory whose manifests pass for the cluster; by default the cluster is read.
        namespace: of objects that name none; by default the context's.
        recursive: whether directories are read with all that is below them.
        prune: labels, as ``app=shop,tier=web``: live objects that have them and are not among the manifests go.
        applyset: ``NAME`` or ``RESOURCE/NAME`` of the parent of a set (KEP-3659), whose other members go.
        soak: seconds between the last reference and a removal.
        checked: whether a change is refused that would add an error at rest.
        istio_namespace: Istio's root namespace.
        kubeconfig: its path; by default ``$KUBECONFIG``, then ``~/.kube/config``, then the pod's own account.
        context: of the kubeconfig; by default its current one.

    Returns:
        The plan. Where no order is safe it has ``refusals``, each with the request that would fail, and no steps.

    Raises:
        ManifestsError: every fault of every manifest.
        ClusterError: the cluster cannot be read, or refuses a manifest.
        UsageError: the arguments contradict each other.
    """
    files = given(manifests, recursive=recursive, namespace=namespace)
    pruning = _pruning(prune, applyset)

    def wants(default: Namespace) -> Wanted:
        return Wanted.applied(files, default, pruning=pruning, root=istio_namespace, soak=soak, checked=checked)

    if live is None:
        return (await plan_online(wants, kubeconfig=_path(kubeconfig), context=context)).plan
    default = Namespace(namespace or "default")
    wanted = wants(default)
    made = await asyncio.to_thread(plan_offline, wanted, fspath(live), recursive=recursive, default=default)
    return made.plan


async def apply(  # noqa: PLR0913  one parameter for each option
    manifests: Manifests,
    *,
    on_event: Listener | None = None,
    dry_run: bool = False,
    namespace: str | None = None,
    recursive: bool = False,
    prune: str | None = None,
    applyset: str | None = None,
    soak: float = 1.0,
    checked: bool = True,
    barrier_timeout: float = 300.0,
    timeout: float = 0.0,  # noqa: ASYNC109
    on_timeout: Literal["stop", "rollback"] = "stop",
    record: bool = True,
    force_conflicts: bool = False,
    exclude: Sequence[str] = (),
    via: Literal["port-forward", "exec", "url"] = "port-forward",
    proxy_addresses: str | PathLike[str] | None = None,
    max_connections: int = 64,
    lock_timeout: float = 20.0,
    lock_namespace: str | None = None,
    istio_namespace: str = "istio-system",
    kubeconfig: str | PathLike[str] | None = None,
    context: str | None = None,
) -> Rollout:
    """Write manifests in an order that loses no request, waiting for the Envoys in between.

    Args:
        manifests: a path, or YAML text (a string with a line break), or an object as a dict, or several of these.
        on_event: called with each event as it happens, on the event loop: it shall not block.
        dry_run: whether all is planned and checked by the API server, and nothing written.
        namespace: of objects that name none; by default the context's.
        recursive: whether directories are read with all that is below them.
        prune: labels, as ``app=shop,tier=web``: live objects that have them and are not among the manifests go.
        applyset: ``NAME`` or ``RESOURCE/NAME`` of the parent of a set (KEP-3659), whose other members go.
        soak: seconds between the last reference and a removal.
        checked: whether a change is refused that would add an error at rest.
        barrier_timeout: seconds that one wait may take.
        timeout: seconds that all waits may take together; 0 for no limit.
        on_timeout: what is done then: stop in a safe state, or go back as carefully to what was found.
        record: whether what is found is kept in the cluster, so that ``rollback`` has a way back.
        force_conflicts: whether fields are taken that others own.
        exclude: ``NAMESPACE/POD`` patterns of proxies that do not count.
        via: how the admin ports of the Envoys are reached.
        proxy_addresses: with ``via="url"`` the path of the file of addresses.
        max_connections: how many Envoys are asked at the same time.
        lock_timeout: seconds to wait for another rollout that is under way.
        lock_namespace: where the Lease stands; by default in ``istio_namespace``.
        istio_namespace: Istio's root namespace.
        kubeconfig: its path; by default ``$KUBECONFIG``, then ``~/.kube/config``, then the pod's own account.
        context: of the kubeconfig; by default its current one.

    Returns:
        The plan, and all that happened; the proxies show the last step.

    Raises:
        RefusedError: no order of writes is safe; nothing was written.
        BarrierTimeoutError: a wait took too long; the mesh is in a safe state, and the same call goes on.
        WorkloadFailedError: a Deployment or Job will not come up; the mesh is in a safe state.
        RolledBackError: one of these two, and everything is as it was found.
        ClusterChangedError: somebody else changed what the plan rests on.
        LockedError: another rollout holds the Lease.
        ManifestsError: every fault of every manifest; nothing was written.
        ClusterError: the API server refused something, or fell silent.
        UsageError: the arguments contradict each other; nothing was written.
    """
    files = given(manifests, recursive=recursive, namespace=namespace)
    pruning = _pruning(prune, applyset)

    def wants(default: Namespace) -> Wanted:
        return Wanted.applied(files, default, pruning=pruning, root=istio_namespace, soak=soak, checked=checked)

    manner = Manner(
        reach=reach_of(Via(via), _file(proxy_addresses), max_connections, exclude),
        kubeconfig=_path(kubeconfig),
        context=context,
        root_namespace=Namespace(istio_namespace),
        dry_run=DryRun.SERVER if dry_run else DryRun.NONE,
        force_conflicts=force_conflicts,
        barrier_timeout=barrier_timeout,
        timeout=timeout,
        on_timeout=OnTimeout(on_timeout),
        record=record,
        lock_timeout=lock_timeout,
        lock_namespace=Namespace(lock_namespace) if lock_namespace else None,
        soak=soak,
        deletion="pruned",
        any_plan=True,
    )
    script = _Script(on_event)
    return script.outcome(await roll_out(wants, manner, script))


async def delete(  # noqa: PLR0913  one parameter for each option
    manifests: Manifests,
    *,
    on_event: Listener | None = None,
    dry_run: bool = False,
    namespace: str | None = None,
    recursive: bool = False,
    soak: float = 1.0,
    barrier_timeout: float = 300.0,
    timeout: float = 0.0,  # noqa: ASYNC109
    exclude: Sequence[str] = (),
    istio_namespace: str = "istio-system",
    kubeconfig: str | PathLike[str] | None = None,
    context: str | None = None,
) -> Rollout:
    """Delete the objects of manifests: routes first, and what they name when no proxy names it any more.

    Arguments, result and errors are those of ``apply``.
    """
    files = given(manifests, recursive=recursive, namespace=namespace)

    def wants(default: Namespace) -> Wanted:
        return Wanted.deleted(files, default, root=istio_namespace, soak=soak)

    manner = Manner(
        reach=reach_of(Via.PORT_FORWARD, None, 64, exclude),
        kubeconfig=_path(kubeconfig),
        context=context,
        root_namespace=Namespace(istio_namespace),
        dry_run=DryRun.SERVER if dry_run else DryRun.NONE,
        barrier_timeout=barrier_timeout,
        timeout=timeout,
        soak=soak,
        any_plan=True,
    )
    script = _Script(on_event)
    return script.outcome(await roll_out(wants, manner, script))


async def rollback(  # noqa: PLR0913  one parameter for each option
    *,
    on_event: Listener | None = None,
    dry_run: bool = False,
    soak: float = 1.0,
    barrier_timeout: float = 300.0,
    timeout: float = 0.0,  # noqa: ASYNC109
    force_conflicts: bool = False,
    exclude: Sequence[str] = (),
    istio_namespace: str = "istio-system",
    kubeconfig: str | PathLike[str] | None = None,
    context: str | None = None,
) -> Rollout:
    """Go back to what the last rollout found, as carefully as it went in; once more, one further back.

    Arguments, result and errors are those of ``apply``. The values of Secrets are not kept: they stay as they are.

    Raises:
        UsageError: there is nothing to go back from.
    """
    manner = Manner(
        reach=reach_of(Via.PORT_FORWARD, None, 64, exclude),
        kubeconfig=_path(kubeconfig),
        context=context,
        root_namespace=Namespace(istio_namespace),
        dry_run=DryRun.SERVER if dry_run else DryRun.NONE,
        force_conflicts=force_conflicts,
        barrier_timeout=barrier_timeout,
        timeout=timeout,
        soak=soak,
        any_plan=True,
    )
    script = _Script(on_event)
    return script.outcome(await roll_back(manner, script))


async def check(  # noqa: PLR0913  one parameter for each option
    manifests: Manifests = (),
    *,
    live: str | PathLike[str] | None = None,
    namespace: str | None = None,
    recursive: bool = False,
    istio_namespace: str = "istio-system",
    kubeconfig: str | PathLike[str] | None = None,
    context: str | None = None,
) -> tuple[Finding, ...]:
    """Return what is wrong at rest: requests that fail, and rules that do nothing; the worst first.

    Args:
        manifests: as for ``apply``; they are checked alone, or over ``live``. None: what is live is checked.
        live: a directory, or the word ``cluster``; by default the cluster where there are no manifests.
        namespace: of objects that name none; without manifests, the only one that is looked at.
        recursive: whether directories are read with all that is below them.
        istio_namespace: Istio's root namespace.
        kubeconfig: its path; by default ``$KUBECONFIG``, then ``~/.kube/config``, then the pod's own account.
        context: of the kubeconfig; by default its current one.

    Raises:
        ManifestsError: every fault of every manifest.
        ClusterError: the cluster cannot be read.
    """
    files = given(manifests, recursive=recursive, namespace=namespace)
    place, mesh = _path(live), MeshSettings(Namespace(istio_namespace))
    if place == CLUSTER or (place is None and not files.named):
        looked = await check_cluster(files, mesh, kubeconfig=_path(kubeconfig), context=context)
    else:
        looked = await asyncio.to_thread(check_files, files, place, mesh)
    return looked.checked.findings


async def wait(  # noqa: PLR0913  one parameter for each option
    *conditions: str,
    on_event: Listener | None = None,
    timeout: float = 300.0,  # noqa: ASYNC109
    namespace: str | None = None,
    exclude: Sequence[str] = (),
    istio_namespace: str = "istio-system",
    kubeconfig: str | PathLike[str] | None = None,
    context: str | None = None,
) -> None:
    """Return when the Envoys show that subsets, routes or removals have reached every one of them.

    Args:
        conditions: ``subset=HOST/SUBSET``, ``no-subset=HOST/SUBSET``, ``virtualservice=NAMESPACE/NAME``,
            ``destinationrule=NAMESPACE/NAME`` or ``delete=KIND/NAMESPACE/NAME``.
        on_event: called with each event as it happens, on the event loop: it shall not block.
        timeout: seconds.
        namespace: of names that have none; by default the context's.
        exclude: ``NAMESPACE/POD`` patterns of proxies that do not count.
        istio_namespace: Istio's root namespace.
        kubeconfig: its path; by default ``$KUBECONFIG``, then ``~/.kube/config``, then the pod's own account.
        context: of the kubeconfig; by default its current one.

    Raises:
        BarrierTimeoutError: the time was too short; it names the proxies that lack something.
        UsageError: a condition makes no sense, or can never be met.
        ClusterError: the cluster cannot be read.
    """
    terms = Terms(
        texts=tuple(dict.fromkeys(conditions)),
        namespace=Namespace(namespace) if namespace else None,
        patience=timeout,
        reach=reach_of(Via.PORT_FORWARD, None, 64, exclude),
        root_namespace=Namespace(istio_namespace),
        kubeconfig=_path(kubeconfig),
        context=context,
    )
    await wait_for(terms, emit=on_event or _nobody, say=_nobody)


def events(
    command: Callable[P, Coroutine[Any, Any, object]], *arguments: P.args, **options: P.kwargs
) -> AsyncGenerator[Event, None]:
    """Iterate over the events of a command: ``async for event in aio.events(aio.apply, "deploy/", soak=0)``.

    Leaving the loop and closing the iterator (``contextlib.aclosing``) cancels the command. However slowly the
    iterator is read, the rollout does not wait for it.

    Args:
        command: ``apply``, ``delete``, ``rollback`` or ``wait`` of this module.
        arguments: its arguments.
        options: its options, without ``on_event``.

    Raises:
        SafeApplyError: what the command raises, after its last event.
    """
    return _events(functools.partial(command, *arguments, **options))


async def _events(command: Callable[..., Coroutine[Any, Any, object]]) -> AsyncGenerator[Event, None]:
    queue: asyncio.Queue[Event | None] = asyncio.Queue()
    task = asyncio.create_task(command(on_event=queue.put_nowait))
    task.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        await task
    finally:
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _nobody(_: object) -> None:
    """Listen to nothing."""


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
            told = "".join(f"\n  {one.request}; {one.remedy}" for one in refusals)
            raise RefusedError(f"nothing was written, because no order of writes is safe:{told}")
        return Rollout(made.plan, tuple(self.seen))


def _pruning(labels: str | None, applyset: str | None) -> Pruning:
    return Pruning(prune=bool(labels or applyset), selector=labels, applyset=applyset)


def _path(path: str | PathLike[str] | None) -> str | None:
    return None if path is None else fspath(path)


def _file(path: str | PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path)
