"""``safeapply wait``: the barrier of a rollout as a command of its own, for scripts that write by other means."""

from __future__ import annotations

from typing import Annotated

import typer

from safeapply.cli.access import AccessOptions
from safeapply.cli.bundles import bundled
from safeapply.cli.options import (
    Exclude,
    IstioNamespace,
    MaxConnections,
    NamespaceName,
    Output,
    OutputFormat,
    ProxyAddresses,
    Verbose,
    Via,
    ViaOption,
)

__all__ = ["wait"]


@bundled
def wait(  # noqa: PLR0913  one parameter for each option
    *,
    condition: Annotated[
        list[str],
        typer.Option(
            "--for",
            metavar="CONDITION",
            help="subset=reviews.default/v2: it can be routed to; no-subset=...: no proxy routes there any more; "
            "virtualservice=default/reviews: its routes are on every proxy; destinationrule=...: its subsets are; "
            "delete=virtualservice/default/reviews: it is gone, and so is what it did. Repeatable.",
        ),
    ],
    namespace: NamespaceName = None,
    timeout: Annotated[str, typer.Option("--timeout", help="How long to wait; exits 3 when it is over.")] = "5m",
    output: Output = OutputFormat.TEXT,
    exclude: Exclude = None,
    max_connections: MaxConnections = 64,
    via: ViaOption = Via.PORT_FORWARD,
    proxy_addresses: ProxyAddresses = None,
    istio_namespace: IstioNamespace = "istio-system",
    verbose: Verbose = False,
    access: AccessOptions,
) -> None:
    """Wait until the Envoys themselves show that a subset, a route or a removal has reached every one of them."""
    from safeapply.cli.durations import seconds_of
    from safeapply.cli.waiting import wait_and_tell
    from safeapply.commands.conditions import condition_of
    from safeapply.commands.reach import reach_of
    from safeapply.commands.waiting import Terms
    from safeapply.resources.objects import Namespace

    patience = seconds_of(timeout, option="--timeout")
    for text in condition:
        condition_of(text, Namespace(namespace or "default"))
    terms = Terms(
        texts=tuple(dict.fromkeys(condition)),
        namespace=Namespace(namespace) if namespace else None,
        patience=patience,
        reach=reach_of(via, proxy_addresses, max_connections, exclude),
        root_namespace=Namespace(istio_namespace),
        access=access.value,
    )
    wait_and_tell(terms, output, verbose=verbose)
