"""How the user says which API server is meant, and as whom: kubectl's flags for it, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from safeapply.errors import UsageError

__all__ = ["ClusterAccess"]

REQUEST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """What is said beside the kubeconfig; None leaves the choice to it.

    Raises:
        UsageError: two of them exclude each other.
    """

    kubeconfig: str | None = None
    context: str | None = None
    cluster: str | None = None
    user: str | None = None
    server: str | None = None
    token: str | None = None
    certificate_authority: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    tls_server_name: str | None = None
    insecure: bool = False
    as_user: str | None = None
    as_groups: tuple[str, ...] = ()
    as_uid: str | None = None
    request_seconds: float = REQUEST_SECONDS
    """What one answer may take; 0 for no limit."""
    remotes: tuple[str, ...] = ()
    """Contexts of the mesh's other clusters: proxies run there, the configuration is in the first."""

    def __post_init__(self) -> None:
        """Refuse what client-go refuses, too (``clientcmd`` ``validation.go``, ``transport`` ``config.go``)."""
        if (self.as_groups or self.as_uid) and not self.as_user:
            raise UsageError("--as-group and --as-uid need --as: they say more about the user that it names")
        if self.insecure and self.certificate_authority:
            raise UsageError(
                "--insecure-skip-tls-verify and --certificate-authority exclude each other: leave one of them out"
            )

        self._check_contexts()

    def _check_contexts(self) -> None:
        contexts = (self.context, *self.remotes)
        if self.remotes and len(set(contexts)) < len(contexts):
            raise UsageError("--context: name each cluster once")
        alone = {
            "--cluster": self.cluster,
            "--server": self.server,
            "--certificate-authority": self.certificate_authority,
            "--tls-server-name": self.tls_server_name,
        }
        given = [option for option, value in alone.items() if value]
        if self.remotes and given:
            raise UsageError(f"{given[0]} is about one API server: it does not go with several --context")

    @property
    def chooses(self) -> bool:
        """Whether a kubeconfig or a server is asked for, so that the pod's own account will not do."""
        return any((self.kubeconfig, self.context, self.cluster, self.user, self.server))
