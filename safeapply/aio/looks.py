"""What writes nothing: ``plan``, ``check`` and ``wait``."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from os import PathLike, fspath
from typing import Unpack

from safeapply.aio.options import (
    ROOT,
    SOAK,
    Connecting,
    Listener,
    Reaching,
    access_of,
    only,
    path_of,
    pruning_of,
    reach_with,
)
from safeapply.checks.findings import Finding
from safeapply.commands.checking import CLUSTER, check_cluster, check_files
from safeapply.commands.given import Manifests, given
from safeapply.commands.inputs import phases_of
from safeapply.commands.online import plan_online
from safeapply.commands.planning import Wanted, plan_offline
from safeapply.commands.waiting import Terms, wait_for
from safeapply.plans.plan import Plan
from safeapply.resources.objects import Namespace

# ASYNC109: asyncio.timeout could not tell which proxies were waited for.

__all__ = ["check", "plan", "wait"]


async def plan(  # noqa: PLR0913  one parameter for each option
    manifests: Manifests,
    *,
    live: str | PathLike[str] | None = None,
    namespace: str | None = None,
    recursive: bool = False,
    prune: str | None = None,
    applyset: str | None = None,
    phase: str | None = None,
    soak: float = SOAK,
    checked: bool = True,
    **options: Unpack[Connecting],
) -> Plan:
    """Return the steps from live to desired, proved; nothing is written.

    Args:
        manifests: a path, or YAML text (a string with a line break), or an object as a dict, or several of these.
        live: a directory whose manifests pass for the cluster; by default the cluster is read.
        namespace: of objects that name none; by default the context's.
        recursive: whether directories are read with all that is below them.
        prune: labels, as ``app=shop,tier=web``: live objects that have them and are not among the manifests go.
        applyset: ``NAME`` or ``RESOURCE/NAME`` of the parent of a set (KEP-3659), whose other members go.
        phase: ``widen,switch`` or ``narrow``: only the steps of these phases; by default all.
        soak: seconds between the last reference and a removal.
        checked: whether a change is refused that would add an error at rest.
        options: those of ``Connecting``.

    Returns:
        The plan. Where no order is safe it has ``refusals``, each with the request that would fail, and no steps.

    Raises:
        ManifestsError: every fault of every manifest.
        ClusterError: the cluster cannot be read, or refuses a manifest.
        UsageError: the arguments contradict each other.
    """
    only(options, Connecting)
    files = given(manifests, recursive=recursive, namespace=namespace)
    pruning, phases = pruning_of(prune, applyset), phases_of(phase)
    root = options.get("istio_namespace", ROOT)

    def wants(default: Namespace) -> Wanted:
        wanted = Wanted.applied(files, default, pruning=pruning, root=root, soak=soak, checked=checked)
        return replace(wanted, phases=phases)

    if live is None:
        return (await plan_online(wants, access_of(options))).plan
    default = Namespace(namespace or "default")
    made = await asyncio.to_thread(plan_offline, wants(default), fspath(live), recursive=recursive, default=default)
    return made.plan


async def check(
    manifests: Manifests = (),
    *,
    live: str | PathLike[str] | None = None,
    namespace: str | None = None,
    recursive: bool = False,
    **options: Unpack[Connecting],
) -> tuple[Finding, ...]:
    """Return what is wrong at rest: requests that fail, and rules that do nothing; the worst first.

    Args:
        manifests: as for ``apply``; they are checked alone, or over ``live``. None: what is live is checked.
        live: a directory, or the word ``cluster``; by default the cluster where there are no manifests.
        namespace: of objects that name none; without manifests, the only one that is looked at.
        recursive: whether directories are read with all that is below them.
        options: those of ``Connecting``.

    Raises:
        ManifestsError: every fault of every manifest.
        ClusterError: the cluster cannot be read.
    """
    only(options, Connecting)
    files = given(manifests, recursive=recursive, namespace=namespace)
    place, root = path_of(live), Namespace(options.get("istio_namespace", ROOT))
    if place == CLUSTER or (place is None and not files.named):
        looked = await check_cluster(files, root, access_of(options))
    else:
        looked = await asyncio.to_thread(check_files, files, place, root)
    return looked.checked.findings


async def wait(
    *conditions: str,
    on_event: Listener | None = None,
    timeout: float = 300.0,  # noqa: ASYNC109
    namespace: str | None = None,
    **options: Unpack[Reaching],
) -> None:
    """Return when the Envoys show that subsets, routes or removals have reached every one of them.

    Args:
        conditions: ``subset=HOST/SUBSET``, ``no-subset=HOST/SUBSET``, ``virtualservice=NAMESPACE/NAME``,
            ``destinationrule=NAMESPACE/NAME`` or ``delete=KIND/NAMESPACE/NAME``.
        on_event: called with each event as it happens, on the event loop: it shall not block.
        timeout: seconds.
        namespace: of names that have none; by default the context's.
        options: those of ``Reaching``: among them ``exclude`` and ``via``.

    Raises:
        BarrierTimeoutError: the time was too short; it names the proxies that lack something.
        UsageError: a condition makes no sense, or can never be met.
        ClusterError: the cluster cannot be read.
    """
    only(options, Reaching)
    terms = Terms(
        texts=tuple(dict.fromkeys(conditions)),
        namespace=Namespace(namespace) if namespace else None,
        patience=timeout,
        reach=reach_with(options),
        root_namespace=Namespace(options.get("istio_namespace", ROOT)),
        access=access_of(options),
    )
    await wait_for(terms, emit=on_event or _nobody, say=_nobody)


def _nobody(_: object) -> None:
    """Listen to nothing."""
