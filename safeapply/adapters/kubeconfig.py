"""Kubeconfig files, merged and chosen from as client-go does (``clientcmd`` ``loader.go``, ``client_config.go``).

The official Python client takes the last ``current-context`` of several files where kubectl takes the first, and
knows no flags; what is chosen here goes to it as a kubeconfig with one context.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.bounded import read_file
from safeapply.errors import ClusterError

__all__ = ["Chosen", "chosen", "merged"]

DEFAULT = "~/.kube/config"
KINDS = ("cluster", "context", "user")
PATHS = {"cluster": ("certificate-authority",), "user": ("client-certificate", "client-key", "tokenFile")}
"""The fields that name files, relative to the kubeconfig that they stand in."""
METHODS = ("token", "tokenFile", "exec", "auth-provider", "username", "password")
"""What a token of the command line takes the place of; a client certificate goes along with it."""
Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Merged:
    """All kubeconfigs together."""

    where: str
    found: bool
    """Whether any file is there."""
    current: str
    entries: Mapping[str, Mapping[str, Entry]]
    """By kind and name."""

    @property
    def empty(self) -> bool:
        """Whether they say nothing at all."""
        return not (self.current or any(self.entries.values()))

    def find(self, kind: str, name: str) -> Entry:
        """Return an entry.

        Raises:
            ClusterError: there is none of that name; those that there are are named.
        """
        if name in self.entries[kind]:
            return self.entries[kind][name]
        known = ", ".join(sorted(self.entries[kind])) or "none"
        raise ClusterError(f"the kubeconfig at {self.where} has no {kind} {name!r}; it has: {known}")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a context and the flags come to."""

    cluster: Entry
    user: Entry
    namespace: str

    @property
    def document(self) -> dict[str, Any]:
        """A kubeconfig that holds this alone."""
        return {
            "current-context": "chosen",
            "contexts": [{"name": "chosen", "context": {"cluster": "chosen", "user": "chosen"}}],
            "clusters": [{"name": "chosen", "cluster": dict(self.cluster)}],
            "users": [{"name": "chosen", "user": dict(self.user)}],
        }


def merged(access: ClusterAccess, environ: Mapping[str, str]) -> Merged:
    """Read ``--kubeconfig``, else the files of ``$KUBECONFIG`` that are there, else ``~/.kube/config``.

    Raises:
        ClusterError: a file cannot be read or is no kubeconfig, or ``--kubeconfig`` names none.
    """
    listed = access.kubeconfig or environ.get("KUBECONFIG") or DEFAULT
    # Path.expanduser raises where a user has neither $HOME nor a name, as in many containers.
    paths = [Path(os.path.expanduser(one)) for one in listed.split(os.pathsep) if one]  # noqa: PTH111
    found = [path for path in paths if path.is_file()]
    if access.kubeconfig and not found:
        raise _unusable(listed, "there is no such file")
    documents = [(path, _read(path)) for path in found]
    entries: dict[str, dict[str, Entry]] = {kind: {} for kind in KINDS}
    for kind in KINDS:
        for path, document in documents:
            for name, entry in _entries(path, document, kind):
                entries[kind].setdefault(name, entry)
    currents = (str(document.get("current-context") or "") for _, document in documents)
    return Merged(listed, bool(found), next(filter(None, currents), ""), entries)


def chosen(files: Merged, access: ClusterAccess) -> Chosen:
    """Return what is meant by kubeconfigs and flags.

    Raises:
        ClusterError: a context, cluster or user is not there, or no server is named.
    """
    name = access.context or files.current
    context = files.find("context", name) if name else {}
    cluster = _cluster(files, access, context)
    if not cluster.get("server"):
        lacks = f"context {name} names no server" if name else "it has no current-context"
        raise _unusable(files.where, lacks if files.found else "there is no such file")
    user = access.user or context.get("user")
    return Chosen(cluster, _user(files, access, user), str(context.get("namespace") or "default"))


def _cluster(files: Merged, access: ClusterAccess, context: Entry) -> Entry:
    name = str(access.cluster or context.get("cluster") or "")
    if name and not (access.cluster or access.server or name in files.entries["cluster"]):
        files.find("cluster", name)
    cluster = dict(files.find("cluster", name) if access.cluster else files.entries["cluster"].get(name, {}))
    if access.server or access.tls_server_name:
        # A server of the command line does not have the name of the one that it stands for.
        cluster["tls-server-name"] = access.tls_server_name
    if access.server:
        cluster["server"] = access.server if "://" in access.server else f"http://{access.server}"
    if access.insecure or access.certificate_authority:
        cluster.pop("certificate-authority-data", None)
        cluster["certificate-authority"] = access.certificate_authority
        cluster["insecure-skip-tls-verify"] = access.insecure
    return {key: value for key, value in cluster.items() if value is not None}


def _user(files: Merged, access: ClusterAccess, name: str | None) -> Entry:
    user = dict(files.find("user", name)) if name else {}
    if access.token:
        user = {key: value for key, value in user.items() if key not in METHODS} | {"token": access.token}
    flags = {"client-certificate": access.client_certificate, "client-key": access.client_key}
    for key, path in flags.items():
        if path:
            user.pop(f"{key}-data", None)
            user[key] = path
    return user


def _read(path: Path) -> Entry:
    try:
        document = yaml.safe_load(read_file(str(path)).decode())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise _unusable(str(path), str(reason)) from error
    if not isinstance(document, dict | None):
        raise _unusable(str(path), "it is no mapping")
    return document or {}


def _entries(path: Path, document: Entry, kind: str) -> Iterator[tuple[str, Entry]]:
    listed = document.get(f"{kind}s") or ()
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise _unusable(str(path), f"{kind}s is no list")
    for one in listed:
        entry = (one.get(kind) or {}) if isinstance(one, dict) else None
        if not isinstance(entry, dict) or not one.get("name"):
            raise _unusable(str(path), f"an entry of {kind}s has no name, or its {kind} is no mapping")
        yield str(one["name"]), _resolved(entry, kind, path.absolute().parent)


def _resolved(entry: Entry, kind: str, base: Path) -> Entry:
    """Return an entry whose paths do not depend on where the kubeconfig stands."""
    found: dict[str, Any] = {key: str(base / entry[key]) for key in PATHS.get(kind, ()) if entry.get(key)}
    plugin = entry.get("exec")
    if isinstance(plugin, dict) and os.sep in str(plugin.get("command") or ""):
        found["exec"] = {**plugin, "command": str(base / str(plugin["command"]))}
    return {**entry, **found}


def _unusable(where: str, reason: str) -> ClusterError:
    return ClusterError(f"no usable kubeconfig at {where} ({reason}); give --kubeconfig or set KUBECONFIG")
