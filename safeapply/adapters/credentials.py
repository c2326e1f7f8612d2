"""Who the user is to an API server: kubeconfig, flags, plugins or the pod's own account, as client settings."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config
from kubernetes.aio.config.kube_config import load_kube_config_from_dict

from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.keyfiles import kept_in_memory
from safeapply.adapters.kubeconfig import METHODS, Chosen, chosen, merged
from safeapply.adapters.plugins import obtained
from safeapply.adapters.privacy import is_private
from safeapply.errors import ClusterError, UsageError

__all__ = ["Identity", "Login", "logged_in"]

OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom requests are sent, beside what the client settings hold."""

    namespace: str
    impersonated: tuple[tuple[str, str], ...] = ()
    """Headers; a name may come more than once."""
    expires: datetime | None = None
    """When the credential has to be renewed."""
    withheld: bool = False
    """Whether there are credentials that are not sent, because others could read them on the way."""

    @property
    def expired(self) -> bool:
        """Tell whether the credential is known to be of no use any more."""
        return self.expires is not None and self.expires.astimezone(UTC) <= datetime.now(UTC)


@dataclass(slots=True)
class Login:
    """An identity that is renewed where it has expired, or the server does not accept it any more."""

    configuration: Configuration
    access: ClusterAccess
    identity: Identity
    _renewing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def renew(self, seen: Identity) -> None:
        """Look for new credentials, once for all requests that were sent with the old ones.

        Raises:
            ClusterError: there are none.
        """
        async with self._renewing:
            if self.identity is seen:
                self.identity = await _identify(self.configuration, self.access)


async def logged_in(configuration: Configuration, access: ClusterAccess) -> Login:
    """Return who the user is; settings are changed by it.

    Raises:
        ClusterError: nothing usable was found.
    """
    return Login(configuration, access, await _identify(configuration, access))


async def _identify(configuration: Configuration, access: ClusterAccess) -> Identity:
    """Put server, TLS and credentials into client settings; an exec plugin is run.

    Raises:
        ClusterError: nothing usable was found.
    """
    files = merged(access, os.environ)
    if files.empty and not access.chooses and _in_cluster(configuration):
        if access.token:
            configuration.refresh_api_key_hook = None
            configuration.api_key["BearerToken"] = f"Bearer {access.token}"
        return Identity(_own_namespace(), tuple(_impersonated(access, {})))
    found = chosen(files, access)
    impersonated, expires, document = tuple(_impersonated(access, found.user)), None, found.document
    withheld = _withheld(found, access)
    if withheld:
        document["users"][0]["user"] = {}
    elif found.user.get("exec"):
        credential = await obtained(found.user["exec"], found.cluster)
        rest = {key: value for key, value in found.user.items() if key != "exec"}
        document["users"][0]["user"], expires = {**rest, **credential.user}, credential.expires
    try:
        for one, kind in ((document["users"][0], "user"), (document["clusters"][0], "cluster")):
            one[kind] = kept_in_memory(one[kind], configuration)
        await load_kube_config_from_dict(document, client_configuration=configuration)
    except (ConfigException, OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ClusterError(
            f"no usable kubeconfig at {files.where} ({reason}); give --kubeconfig or set KUBECONFIG"
        ) from error
    return Identity(found.namespace, impersonated, expires, withheld)


def _withheld(found: Chosen, access: ClusterAccess) -> bool:
    """Tell whether there are credentials that would go over the network in clear.

    kubectl reads none then (client-go ``client_config.go``: only "if we are secure"), not even for this machine.
    Here they go to this machine's own addresses, as nobody reads on the way what stays on it: the sandbox is there.

    Raises:
        UsageError: they were given on the command line, so whoever gave them wants them sent.
    """
    if is_private(found.cluster):
        return False
    if access.token:
        raise UsageError(
            f"--token: it is not sent to {found.cluster['server']}, because without TLS anybody on the way could "
            "read it; give the server as https://"
        )
    return any(found.user.get(method) for method in METHODS)


def _impersonated(access: ClusterAccess, user: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the headers for whom the flags name, else for whom the kubeconfig's user acts."""
    flags = {"as": access.as_user, "as-groups": access.as_groups, "as-uid": access.as_uid}
    told: Mapping[str, Any] = flags if access.as_user else user
    name, uid, extra = told.get("as"), told.get("as-uid"), told.get("as-user-extra") or {}
    if name:
        yield "Impersonate-User", str(name)
        yield from (("Impersonate-Group", str(one)) for one in told.get("as-groups") or ())
        yield from (("Impersonate-Uid", str(one)) for one in (uid,) if one)
        yield from ((f"Impersonate-Extra-{key}", str(one)) for key, all_ in extra.items() for one in all_)


def _own_namespace() -> str:
    """Return the namespace of the pod that this runs in, as kubectl takes it (client-go ``client_config.go``)."""
    try:
        return OWN_NAMESPACE.read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"


def _in_cluster(configuration: Configuration) -> bool:
    try:
        load_incluster_config(client_configuration=configuration)
    except ConfigException:
        return False
    return True
