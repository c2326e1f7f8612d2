"""A job controller and a kubelet for hooks: Jobs of the embedded API server are run in containers.

Jobs say so by ``managedBy``, so that the mesh leaves them alone. A container has what its pod has in a cluster: its
account's token, its ConfigMaps as the kubelet lays them out, and the environment that leads to the API server.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safeapply.resources.objects import Document, GroupKind, Namespace, ResourceId
from safeapply.sandbox.apiserver import Access, User, service_account
from safeapply.sandbox.mesh import Mesh
from safeapply.sandbox.stored import StoredObjects
from safeapply.sandbox.watching import WatchEvent, WatchType
from tests.gitops.container import NOBODY, Ended, Mount, contain
from tests.gitops.front import HOST, Front

JOB = GroupKind("batch", "Job")
CONTROLLER = "tests.safeapply.dev/jobs"
ENTRYPOINT = (sys.executable, "-m", "safeapply")
"""As the image's; see Dockerfile."""
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass
class Jobs:
    """Runs the Jobs of a mesh that name this controller."""

    mesh: Mesh
    front: Front
    tokens: dict[str, User]
    logs: dict[str, list[Ended]] = field(default_factory=dict)
    """What the containers of each Job said, the newest last."""
    extra: Sequence[Mount] = ()
    """What every container sees besides."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self) -> None:
        """Guard the API server, and run every Job from now on."""
        self.mesh.api.access = Access(self.mesh.store, self.tokens)
        self.mesh.store.listen(self._observe)

    async def ended(self) -> None:
        """Return when the Jobs that run now have ended."""
        await asyncio.gather(*self._tasks)

    def _observe(self, event: WatchEvent) -> None:
        document = event.document
        if event.id.group_kind == JOB and event.type is WatchType.ADDED:
            assert document["spec"]["managedBy"] == CONTROLLER
            task = asyncio.get_running_loop().create_task(self._run(event.id, document))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, one: ResourceId, job: Document) -> None:
        """Run a Job's pod until it succeeds, or must not be run again."""
        spec = job["spec"]
        code = -1
        for _ in range(1 + int(spec.get("backoffLimit", 6))):
            code = await self._run_pod(one, spec["template"])
            if code == 0 or code in _final(spec):
                break
        over = {"type": "Failed" if code else "Complete", "status": "True"}
        StoredObjects(self.mesh.store).set_status(one, {"conditions": [over]})

    async def _run_pod(self, one: ResourceId, template: Mapping[str, Any]) -> int:
        spec = template["spec"]
        assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
        with tempfile.TemporaryDirectory(prefix="sa-pod-") as directory:
            listed = spec.get("volumes", ())
            volumes = {each["name"]: self._volume(each, one.namespace, Path(directory)) for each in listed}
            account = self._account(spec["serviceAccountName"], one.namespace, Path(directory))
            for container in (*spec.get("initContainers", ()), *spec["containers"]):
                ended = await self._run_container(container, template, volumes, account, one)
                self.logs.setdefault(one.name, []).append(ended)
                if ended.code:
                    return ended.code
        return 0

    async def _run_container(
        self,
        container: Mapping[str, Any],
        template: Mapping[str, Any],
        volumes: Mapping[str, Path],
        account: Path,
        one: ResourceId,
    ) -> Ended:
        assert container["securityContext"]["readOnlyRootFilesystem"]
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "KUBERNETES_SERVICE_HOST": HOST,
            "KUBERNETES_SERVICE_PORT": str(self.front.port),
            **{
                each["name"]: _value(each, template["metadata"], one.namespace) for each in container.get("env", ())
            },
        }
        words = [*container.get("command", ENTRYPOINT), *container.get("args", ())]
        command = [_expanded(word, environment) for word in words]
        mounts = [
            Mount(volumes[mount["name"]], mount["mountPath"], writable=not mount.get("readOnly"))
            for mount in container.get("volumeMounts", ())
        ]
        user = template["spec"].get("securityContext", {}).get("runAsUser", NOBODY)
        mounts.append(Mount(account, ACCOUNT))
        return await contain(command, environment=environment, mounts=(*mounts, *self.extra), user=user)

    def _volume(self, volume: Mapping[str, Any], namespace: Namespace, directory: Path) -> Path:
        path = directory / str(volume["name"])
        path.mkdir(mode=0o755)
        if "emptyDir" in volume:
            path.chmod(0o777)
            return path
        known = ResourceId("", "ConfigMap", namespace, volume["configMap"]["name"])
        document = self.mesh.store.get(known)
        assert document is not None, known
        # As the kubelet has it: each file leads through ..data to the directory of this version.
        version = path / "..2026_11_23"
        version.mkdir()
        (path / "..data").symlink_to(version.name)
        for name, text in document["data"].items():
            (version / name).write_text(text)
            (path / name).symlink_to(f"..data/{name}")
        return path

    def _account(self, name: str, namespace: Namespace, directory: Path) -> Path:
        path = directory / "account"
        path.mkdir(mode=0o755)
        token = f"{namespace}-{name}"
        self.tokens[token] = service_account(namespace, name)
        for file, content in (
            ("token", token.encode()),
            ("ca.crt", self.front.ca),
            ("namespace", namespace.encode()),
        ):
            (path / file).write_bytes(content)
        return path


def _final(spec: Mapping[str, Any]) -> Sequence[int]:
    """Return the exit codes after which a Job is not tried again."""
    rules = spec.get("podFailurePolicy", {}).get("rules", ())
    return [code for rule in rules if rule["action"] == "FailJob" for code in rule["onExitCodes"]["values"]]


def _value(variable: Mapping[str, Any], metadata: Mapping[str, Any], namespace: Namespace) -> str:
    if "value" in variable:
        return str(variable["value"])
    path = variable["valueFrom"]["fieldRef"]["fieldPath"]
    if path == "metadata.namespace":
        return namespace
    (key,) = re.findall(r"metadata\.annotations\['(.+)'\]", path)
    return str(metadata["annotations"][key])


def _expanded(word: str, environment: Mapping[str, str]) -> str:
    """Put variables in, as the kubelet does before there is any shell."""
    return re.sub(r"\$\((\w+)\)", lambda found: environment.get(found[1], found[0]), word)
