"""Which API server, and as whom: the options of kubectl (``k8s.io/cli-runtime`` ``config_flags.go``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from safeapply.adapters.access import ClusterAccess
from safeapply.cli.durations import seconds_of

__all__ = ["AccessOptions"]

PANEL = "Cluster"


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """What every command that talks to a cluster takes."""

    kubeconfig: Annotated[
        str | None,
        typer.Option(
            "--kubeconfig", help="Path of the kubeconfig.", show_default="$KUBECONFIG", rich_help_panel=PANEL
        ),
    ] = None
    context: Annotated[
        list[str] | None,
        typer.Option(
            "--context",
            help="Context of the kubeconfig to use. Repeatable for a mesh of several clusters: the first holds the "
            "configuration, and proxies run in all.",
            rich_help_panel=PANEL,
        ),
    ] = None
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="Cluster of the kubeconfig to use.", rich_help_panel=PANEL)
    ] = None
    user: Annotated[
        str | None, typer.Option("--user", help="User of the kubeconfig to use.", rich_help_panel=PANEL)
    ] = None
    server: Annotated[
        str | None, typer.Option("--server", "-s", help="Address of the API server.", rich_help_panel=PANEL)
    ] = None
    token: Annotated[
        str | None, typer.Option("--token", help="Bearer token for the API server.", rich_help_panel=PANEL)
    ] = None
    certificate_authority: Annotated[
        str | None,
        typer.Option(
            "--certificate-authority",
            metavar="FILE",
            help="Certificates that the API server's is checked against.",
            rich_help_panel=PANEL,
        ),
    ] = None
    client_certificate: Annotated[
        str | None,
        typer.Option(
            "--client-certificate",
            metavar="FILE",
            help="Certificate to show to the API server.",
            rich_help_panel=PANEL,
        ),
    ] = None
    client_key: Annotated[
        str | None,
        typer.Option("--client-key", metavar="FILE", help="Its private key.", rich_help_panel=PANEL),
    ] = None
    tls_server_name: Annotated[
        str | None,
        typer.Option(
            "--tls-server-name",
            help="Name that the API server's certificate has to have.",
            show_default="the host's",
            rich_help_panel=PANEL,
        ),
    ] = None
    insecure_skip_tls_verify: Annotated[
        bool,
        typer.Option(
            "--insecure-skip-tls-verify",
            help="Do not check the API server's certificate: whoever answers is believed.",
            rich_help_panel=PANEL,
        ),
    ] = False
    as_user: Annotated[
        str | None, typer.Option("--as", metavar="USER", help="Act for this user.", rich_help_panel=PANEL)
    ] = None
    as_group: Annotated[
        list[str] | None,
        typer.Option(
            "--as-group",
            metavar="GROUP",
            help="With --as: a group that the user is in; repeatable.",
            rich_help_panel=PANEL,
        ),
    ] = None
    as_uid: Annotated[
        str | None,
        typer.Option("--as-uid", metavar="UID", help="With --as: the user's UID.", rich_help_panel=PANEL),
    ] = None
    request_timeout: Annotated[
        str,
        typer.Option(
            "--request-timeout",
            help="How long one answer of the API server may take; 0 for no limit.",
            rich_help_panel=PANEL,
        ),
    ] = "30s"

    @property
    def value(self) -> ClusterAccess:
        """What the options come to.

        Raises:
            UsageError: two of them exclude each other, or one makes no sense.
        """
        contexts = self.context or []
        return ClusterAccess(
            kubeconfig=self.kubeconfig,
            context=contexts[0] if contexts else None,
            cluster=self.cluster,
            user=self.user,
            server=self.server,
            token=self.token,
            certificate_authority=self.certificate_authority,
            client_certificate=self.client_certificate,
            client_key=self.client_key,
            tls_server_name=self.tls_server_name,
            insecure=self.insecure_skip_tls_verify,
            as_user=self.as_user,
            as_groups=tuple(self.as_group or ()),
            as_uid=self.as_uid,
            request_seconds=seconds_of(self.request_timeout, option="--request-timeout"),
            remotes=tuple(contexts[1:]),
        )
