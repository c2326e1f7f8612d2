"""A rollout with exactly the rights that it is said to take, on real Envoys."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import yaml

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.apiserver import Access, service_account
from safeapply.sandbox.mesh import Mesh
from tests.cli.clusters import Said, ran
from tests.mesh.command import EXAMPLE, Result, command, scene

DESIRED = str(EXAMPLE / "desired")
SET = ("--prune", "--applyset", "shop", "-n", "default")


def guarded(mesh: Mesh, *arguments: str) -> None:
    """Give the one user of a mesh what ``safeapply rbac`` prints, and nothing else."""
    said: Said = ran(
        *(sys.executable, "-m", "safeapply", "rbac", *arguments, "--serviceaccount", "ci:robot"),
        kubeconfig=Path(os.devnull),
    )
    assert said.code == 0, said.err
    for document in yaml.safe_load_all(said.out):
        kind = mesh.store.kinds.named(GroupKind("rbac.authorization.k8s.io", document["kind"]))
        assert kind is not None
        one = kind.id_of(document["metadata"]["name"], document["metadata"].get("namespace", ""))
        if mesh.store.get(one) is not None:
            mesh.store.delete(one)
        mesh.store.create(document)
    mesh.api.access = Access(mesh.store, {"robot": service_account("ci", "robot")})
    mesh.kubeconfig.write_text(mesh.api.kubeconfig(token="robot"))


async def done(mesh: Mesh, *arguments: str) -> Result:
    """Run a command that has to go well."""
    result = await command(mesh, *arguments)
    assert result.code == 0, result.err
    return result


async def test_a_rollout_a_wait_a_status_and_a_removal_take_what_is_printed_for_them() -> None:
    """Port-forward, Lease, watch, take-over and apply set included; istiod is asked, too."""
    async with Mesh(scene()) as mesh:
        guarded(mesh, "-f", DESIRED, *SET, "--delete")
        report = await done(mesh, "apply", "-f", DESIRED, "--yes", "--soak", "0", *SET, "-o", "json")
        assert "notChecked" not in report.out.replace('"notChecked": []', "")
        assert "pods/portforward" not in report.err
        await done(mesh, "wait", "--for=subset=reviews.default/stable", "--timeout", "20s")
        assert "confirmed" in (await done(mesh, "status")).out
        await done(mesh, "delete", "-f", DESIRED, "--yes", "--soak", "0", "--barrier-timeout", "20s")


async def test_a_wait_without_the_right_to_read_envoys_says_so_at_once() -> None:
    """It does not look like a proxy that is slow."""
    async with Mesh(scene(proxies=1)) as mesh:
        guarded(mesh, "-f", DESIRED, "--via", "url")
        result = await command(mesh, "wait", "--for=subset=reviews.default/v1", "--timeout", "30s")
        assert result.code == 1
        assert "create pods/portforward in namespace default, to read the configuration of the Envoys" in result.err
