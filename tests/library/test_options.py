"""What the functions of the library do with options, and what a refusal tells a script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import safeapply
from safeapply.aio.options import Rolling
from safeapply.errors import RefusedError, UsageError
from safeapply.resources.objects import GroupKind
from tests.sandbox.apiserver.cluster import Cluster, config, rule, service

RULE = GroupKind("networking.istio.io", "DestinationRule")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over an API server."""
    with Cluster(tmp_path) as cluster:
        yield cluster


def route(subset: str) -> dict[str, object]:
    """Return a VirtualService to a subset of the reviews."""
    destination = {"destination": {"host": "reviews", "subset": subset}}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews"},
        "spec": {"hosts": ["reviews"], "http": [{"route": [destination]}]},
    }


@pytest.mark.parametrize("function", ["plan", "apply", "delete", "rollback", "check", "wait"])
def test_an_option_that_there_is_not_is_a_type_error(function: str) -> None:
    """As of any function; nothing is read and nobody is asked."""
    arguments = () if function == "rollback" else ("subset=a/b",)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        getattr(safeapply, function)(*arguments, colour="red")


@pytest.mark.parametrize("function", ["apply", "delete", "rollback", "wait"])
def test_whatever_reads_envoys_can_be_told_how(function: str) -> None:
    """By the same options everywhere, and with the same errors."""
    arguments = () if function == "rollback" else ("subset=a/b",) if function == "wait" else ("kind: Service\n",)
    with pytest.raises(UsageError, match="proxy-addresses"):
        getattr(safeapply, function)(*arguments, via="url")


def test_a_refusal_has_values(cluster: Cluster) -> None:
    """A script need not read sentences; and check finds the same in the cluster without it."""
    safeapply.apply([service(), rule("reviews", "v1"), route("v1")], kubeconfig=cluster.kubeconfig)
    with pytest.raises(RefusedError) as caught:
        safeapply.apply(route("v9"), kubeconfig=cluster.kubeconfig)
    (refusal,) = caught.value.refusals
    assert (refusal.code, refusal.objects) == (
        "dangling-reference",
        ("virtualservice.networking.istio.io/default/reviews",),
    )
    assert refusal.request in str(caught.value)
    assert refusal.remedy in str(caught.value)
    findings = safeapply.check(route("v9"), live="cluster", kubeconfig=cluster.kubeconfig)
    assert "IST0101" in {one.code for one in findings}
    assert "IST0101" not in {one.code for one in safeapply.check(kubeconfig=cluster.kubeconfig)}


def test_what_is_applied_can_be_deleted_and_brought_back(cluster: Cluster) -> None:
    """With a Lease of its own, in parts, and without a record where none is wanted."""
    where: Rolling = {"kubeconfig": cluster.kubeconfig, "lock_namespace": "default"}
    safeapply.apply([service(), rule("reviews", "v1")], **where)
    safeapply.apply([config()], record=False, **where)
    gone = safeapply.delete(rule("reviews", "v1"), **where)
    assert [one.word for one in gone.written] == ["deleted"]
    assert cluster.do(lambda: cluster.store.list(RULE)) == ()
    assert [one.word for one in safeapply.rollback(**where).written] == ["created"]
    leases = cluster.do(lambda: cluster.store.list(GroupKind("coordination.k8s.io", "Lease")))
    assert {one["metadata"]["namespace"] for one in leases} == {"default"}


def test_phases_are_taken_by_their_names(cluster: Cluster) -> None:
    """What is left is in the plan."""
    made = safeapply.plan([service(), rule("reviews", "v1")], phase="switch,narrow", kubeconfig=cluster.kubeconfig)
    assert [one.code for one in made.refusals] == ["phase"]
    with pytest.raises(UsageError, match="--phase nothing"):
        safeapply.plan(config(), phase="nothing", kubeconfig=cluster.kubeconfig)
