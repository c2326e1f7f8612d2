"""One cluster of a mesh: an API server of its own, what is stored there, and the pods that run.

The first one holds the configuration, and istiod runs there. The others are remotes, as Istio calls them: their
Envoys are served by the first one's istiod, which reads their Services and pods, and no configuration. Or they are
primaries too, with an istiod that serves their own Envoys by their own configuration. They share one network: every
Envoy reaches every pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import yaml

from safeapply.resources.objects import Document, GroupKind, Namespace
from safeapply.sandbox.apiserver import ApiServer, Store
from safeapply.sandbox.backends import Backends
from safeapply.sandbox.controlplane import ControlPlane
from safeapply.sandbox.controlplane.pages import DEBUG_PORTS
from safeapply.sandbox.envoys import Envoys
from safeapply.sandbox.kubelet import Kubelet
from safeapply.sandbox.names import HOME, proxy_name
from safeapply.sandbox.pods import istiod_pod, scheduled
from safeapply.sandbox.sockets import admin_socket, debug_socket
from safeapply.sandbox.stored import StoredObjects
from safeapply.sandbox.watching import WatchEvent

__all__ = ["Member", "kubeconfig_of"]

ADMIN_PORT = 15000
POD = GroupKind("", "Pod")
CONFIGURING = ("istio.io", "gateway.networking.k8s.io")
"""The ends of the groups whose objects configure a mesh."""


class Member:
    """One cluster."""

    def __init__(
        self,
        name: str,
        *,
        run: Path,
        backends: Backends,
        control_plane: ControlPlane,
        replicas: int,
        addresses: Iterator[int],
    ) -> None:
        """Put a cluster together; nothing is started.

        Args:
            name: what it is called; empty for the first.
            run: the run directory of the mesh.
            backends: what answers for its pods.
            control_plane: what serves its Envoys.
            replicas: how many replicas of istiod run here; with none it is a remote.
            addresses: the numbers of addresses that no pod of the mesh has yet.
        """
        self.name = name
        self.run = _directory(run, name)
        """Where the sockets of its Envoys are."""
        self.store = Store()
        self.api = ApiServer(self.store, admin_address=self._admin_of)
        self.envoys = Envoys(run=self.run, mutual_tls=control_plane.mutual_tls)
        self.objects = StoredObjects(self.store, cluster=name, sidecars=control_plane.mutual_tls)
        self.kubelet = Kubelet(
            self.objects,
            run=run,
            backends=backends,
            envoys=self.envoys,
            xds_socket_of=lambda namespace, pod: control_plane.xds_socket(proxy_name(name, namespace, pod)),
            addresses=addresses,
        )
        self._istiods = {istiod_pod(number)["metadata"]["name"]: number for number in range(replicas)}
        self.store.listen(self.kubelet.observe)

    @property
    def proxies(self) -> Iterator[str]:
        """The names of its Envoys."""
        return (proxy_name(self.name, one.namespace, one.pod) for one in self.envoys.running)

    def pods(self) -> tuple[Document, ...]:
        """Return its pods as they are."""
        return self.store.list(POD)

    def fill(self, live: Iterable[Document], added: Iterable[Document]) -> None:
        """Create the live objects and what they need to be a mesh; a remote holds no configuration."""
        own = (one for one in live if self._istiods or not _configures(one))
        istiods = map(istiod_pod, self._istiods.values())
        self.objects.fill(tuple(own), tuple(map(scheduled, (*added, *istiods))))

    def tell(self, control_plane: ControlPlane, *, own: bool) -> None:
        """Let a control plane know all that is stored here, as its own or as another cluster's."""
        place = "" if own else self.name or HOME

        def observe(event: WatchEvent) -> None:
            control_plane.observe(replace(event, id=replace(event.id, cluster=place)))

        self.store.listen(observe)

    def _admin_of(self, namespace: Namespace, pod: str, port: int) -> str | None:
        """Return what a port-forward reaches: the admin interface of a pod's Envoy, or istiod's debug pages."""
        if namespace == istiod_pod(0)["metadata"]["namespace"] and pod in self._istiods:
            return str(debug_socket(self.run, self._istiods[pod])) if port in DEBUG_PORTS else None
        path = admin_socket(self.run, namespace, pod)
        return str(path) if port == ADMIN_PORT and path.exists() else None


def kubeconfig_of(members: Iterable[Member]) -> str:
    """Return one file for all: the first one's, with a context for each other cluster under its name."""
    first, *others = members
    found = yaml.safe_load(first.api.kubeconfig())
    for one in others:
        own = yaml.safe_load(one.api.kubeconfig())
        context = {**own["contexts"][0]["context"], "cluster": one.name, "user": one.name}
        found["contexts"].append({"name": one.name, "context": context})
        for kind in ("clusters", "users"):
            found[kind].append({**own[kind][0], "name": one.name})
    return yaml.safe_dump(found, sort_keys=False)


def _directory(run: Path, name: str) -> Path:
    """Return a directory for a cluster's Envoys, from which they reach the pods of all clusters."""
    if not name:
        return run
    own = run / name
    own.mkdir()
    (own / "b").symlink_to(Path("..") / "b")
    return own


def _configures(document: Document) -> bool:
    group, _, _ = str(document["apiVersion"]).rpartition("/")
    return group.endswith(CONFIGURING)
