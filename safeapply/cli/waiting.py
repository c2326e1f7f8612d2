"""Connect, wait for conditions, tell. Ports meet adapters here."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import typer

from safeapply.adapters.clock import SystemClock
from safeapply.adapters.connection import Connection, connected
from safeapply.adapters.istiod import IstiodPages
from safeapply.adapters.kube import KubeCluster
from safeapply.adapters.terminal import listener_on
from safeapply.cli.conditions import condition_of
from safeapply.cli.options import OutputFormat
from safeapply.cli.reach import Reach
from safeapply.cli.rights import Rights
from safeapply.cli.supervision import run_to_end
from safeapply.errors import BarrierTimeoutError
from safeapply.istio.kinds import POD
from safeapply.istio.snapshot import MeshSettings
from safeapply.report.waits import met_lines, wait_json
from safeapply.resources.objects import Namespace
from safeapply.rollout.awaiting import Awaiting
from safeapply.rollout.events import Event
from safeapply.rollout.poller import DEFAULT_PACE, Poller

__all__ = ["Terms", "wait_for"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What is waited for, and how."""

    texts: tuple[str, ...]
    """The conditions as they were asked for."""
    namespace: Namespace | None
    patience: float
    output: OutputFormat
    reach: Reach
    root_namespace: Namespace
    kubeconfig: str | None
    context: str | None
    verbose: bool


def wait_for(terms: Terms) -> None:
    """Wait, and print what has been met.

    Raises:
        SafeApplyError: with the exit code that belongs to it; 3 where the time was too short.
    """
    events: list[Event] = []
    clock = SystemClock()
    started = clock.now()
    failure: BarrierTimeoutError | None = None
    try:
        run_to_end(_wait(terms, clock, events))
    except BarrierTimeoutError as error:
        failure = error
    if terms.output is OutputFormat.JSON:
        typer.echo(wait_json(terms.texts, events, clock.now() - started, failure).rstrip("\n"))
    elif failure is None:
        typer.echo("\n".join(met_lines(terms.texts)))
    if failure is not None:
        raise failure


async def _wait(terms: Terms, clock: SystemClock, events: list[Event]) -> None:
    async with (
        connected(kubeconfig=terms.kubeconfig, context=terms.context) as connection,
        listener_on(sys.stderr, os.environ, clock=clock, verbose=terms.verbose) as listener,
    ):

        def emit(event: Event) -> None:
            events.append(event)
            listener(event)

        await _await(terms, connection, clock, emit)


async def _await(terms: Terms, connection: Connection, clock: SystemClock, emit: Callable[[Event], None]) -> None:
    cluster = KubeCluster(connection)
    rights = Rights(connection, cluster.plural, terms.reach.way, terms.root_namespace)
    async with rights.all_named():
        await rights.check_waiting(await cluster.list((POD,)))
    default = terms.namespace or Namespace(connection.namespace)
    proxies = terms.reach.proxies(connection)
    pages = IstiodPages(connection)
    poller = Poller(
        cluster,
        proxies,
        clock,
        emit,
        frozenset(),
        DEFAULT_PACE,
        pages,
        root_namespace=terms.root_namespace,
        exclude=terms.reach.exclude,
    )
    awaiting = Awaiting(
        {text: condition_of(text, default) for text in terms.texts},
        poller,
        MeshSettings(terms.root_namespace),
        lambda sentence: typer.echo(sentence, err=True),
    )
    try:
        await awaiting.all_met(terms.patience)
    finally:
        await asyncio.gather(proxies.close(), pages.close())
