"""A rollout with exactly the rights that it is said to take, on real Envoys."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import yaml

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.apiserver import Access, service_account
from safeapply.sandbox.mesh import Mesh
from tests.cli.clusters import Said, ran
from tests.mesh.command import EXAMPLE, Result, command, scene

DESIRED = str(EXAMPLE / "desired")
SET = ("--prune", "--applyset", "shop", "-n", "default")


def guarded(mesh: Mesh, *arguments: str, cluster: str = "") -> None:
    """Give the one user of a cluster what ``safeapply rbac`` prints, and nothing else."""
    there = mesh.members[cluster]
    said: Said = ran(
        *(sys.executable, "-m", "safeapply", "rbac", *arguments, "--serviceaccount", "ci:robot"),
        kubeconfig=Path(os.devnull),
    )
    assert said.code == 0, said.err
    for document in yaml.safe_load_all(said.out):
        kind = there.store.kinds.named(GroupKind("rbac.authorization.k8s.io", document["kind"]))
        assert kind is not None
        one = kind.id_of(document["metadata"]["name"], document["metadata"].get("namespace", ""))
        if there.store.get(one) is not None:
            there.store.delete(one)
        there.store.create(document)
    there.api.access = Access(there.store, {"robot": service_account("ci", "robot")})
    kubeconfig = yaml.safe_load(mesh.kubeconfig.read_text())
    for user in kubeconfig["users"]:
        user["user"] = {"token": "robot"}
    mesh.kubeconfig.write_text(yaml.safe_dump(kubeconfig))


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


async def test_a_remote_takes_what_is_printed_for_it() -> None:
    """Its Services and pods are listed, its Envoys read; what is missing is named with the context, first."""
    both = ("--context", "safeapply-sandbox", "--context", "east")
    async with Mesh(replace(scene(proxies=2), remotes=("east",))) as mesh:
        guarded(mesh, "-f", DESIRED)
        guarded(mesh, "--remote", "--via", "url", cluster="east")
        before = mesh.store.resource_version
        result = await command(mesh, "apply", "-f", DESIRED, "--yes", *both)
        assert (result.code, mesh.store.resource_version) == (1, before)
        assert "the user of context east is not allowed to\n  create pods/portforward" in result.err
        guarded(mesh, "--remote", cluster="east")
        await done(mesh, "apply", "-f", DESIRED, "--yes", "--soak", "0", *both)
