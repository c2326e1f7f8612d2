"""How a rollout is carried out and told: the options that apply, delete and rollback share, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safeapply.cli.durations import seconds_of
from safeapply.cli.options import (
    Exclude,
    IstioNamespace,
    LockNamespace,
    LockTimeout,
    MaxConnections,
    MetricsFile,
    ProxyAddresses,
    Report,
    RolloutFormat,
    RolloutOutput,
    Soak,
    StepTimeout,
    Timeout,
    Verbose,
    Via,
    ViaOption,
    Yes,
)

if TYPE_CHECKING:
    from safeapply.cli.access import AccessOptions
    from safeapply.cli.session import Terminal
    from safeapply.commands.choices import DryRun
    from safeapply.commands.manner import Manner

__all__ = ["CarryingOptions"]


@dataclass(frozen=True, slots=True)
class CarryingOptions:
    """What every command that writes takes."""

    yes: Yes = False
    output: RolloutOutput = RolloutFormat.TEXT
    soak: Soak = "1s"
    barrier_timeout: StepTimeout = "5m"
    timeout: Timeout = "0"
    lock_timeout: LockTimeout = "20s"
    lock_namespace: LockNamespace = None
    exclude: Exclude = None
    max_connections: MaxConnections = 64
    via: ViaOption = Via.PORT_FORWARD
    proxy_addresses: ProxyAddresses = None
    istio_namespace: IstioNamespace = "istio-system"
    verbose: Verbose = False
    report: Report = None
    metrics_file: MetricsFile = None

    @property
    def soak_seconds(self) -> float:
        """How long is waited before a removal.

        Raises:
            UsageError: it is no duration.
        """
        return seconds_of(self.soak, option="--soak")

    def manner(self, access: AccessOptions, dry_run: DryRun) -> Manner:
        """Return how a rollout is to be carried out.

        Raises:
            UsageError: options contradict each other, or are no durations.
        """
        from safeapply.commands.manner import Manner
        from safeapply.commands.reach import reach_of
        from safeapply.resources.objects import Namespace

        return Manner(
            reach=reach_of(self.via, self.proxy_addresses, self.max_connections, self.exclude),
            access=access.value,
            root_namespace=Namespace(self.istio_namespace),
            dry_run=dry_run,
            barrier_timeout=seconds_of(self.barrier_timeout, option="--barrier-timeout"),
            timeout=seconds_of(self.timeout, option="--timeout"),
            lock_timeout=seconds_of(self.lock_timeout, option="--lock-timeout"),
            lock_namespace=Namespace(self.lock_namespace) if self.lock_namespace else None,
            soak=self.soak_seconds,
            any_plan=self.yes,
        )

    def terminal(self, manner: Manner, *, agreed: bool = False, shows: bool = False) -> Terminal:
        """Return who is asked and told.

        Args:
            manner: how it is carried out.
            agreed: whether this very plan was agreed to before, so that nobody has to be asked.
            shows: whether a plan that nobody is asked about is shown, too, unless it was agreed to before.
        """
        from safeapply.cli.session import Terminal
        from safeapply.cli.telling import Telling

        telling = Telling(self.output, manner.dry_run, manner.deletion, self.report)
        yes = agreed or self.yes
        return Terminal(telling, yes, self.verbose, self.metrics_file, shows=shows and not agreed)
