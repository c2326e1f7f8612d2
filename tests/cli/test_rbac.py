"""Least privilege: the rights that ``safeapply rbac`` prints are enough, and each that is missing is named."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from safeapply.cli import main
from safeapply.plans.records import record_name
from safeapply.resources.objects import GroupKind, Namespace, ResourceId
from safeapply.resources.plurals import plural_of
from safeapply.sandbox.apiserver import Access, service_account
from safeapply.sandbox.apiserver.catalogue import BUILT_IN
from tests.cli.clusters import Said, files, safeapply
from tests.sandbox.apiserver.cluster import Cluster, config, rule, service

NOTES = "events.events.k8s.io"
RBAC = "rbac.authorization.k8s.io"
ROBOT = service_account("ci", "robot")
APPLY = ("apply", "--yes", "--soak", "0")
SET = ("--prune", "--applyset", "shop", "-n", "default")


def secret(name: str, value: str = "aGVyZQ==") -> dict[str, Any]:
    """Return a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {"key": value}}


def of_team(team: str, *documents: dict[str, Any]) -> list[dict[str, Any]]:
    """Return documents with a label."""
    return [{**one, "metadata": {**one["metadata"], "labels": {"team": team}}} for one in documents]


def four(name: str) -> list[dict[str, Any]]:
    """Return an object of each kind under one name."""
    return [rule(name, "v1"), service(name), config(name), secret(name)]


ALL_NAMESPACES: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "istio", "namespace": "istio-system"},
    "data": {"mesh": "discoverySelectors: [{matchExpressions: [{key: nobody, operator: DoesNotExist}]}]"},
}
"""A MeshConfig for which the Namespaces have to be read."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a server with an apply set, with what kubectl applied once, and with one user besides nobody."""
    with Cluster(tmp_path) as cluster:
        for document in of_team("a", *four("known")):
            create = partial(cluster.store.create, document, manager="kubectl-client-side-apply")
            cluster.do(create)
        cluster.do(partial(cluster.store.create, ALL_NAMESPACES, manager="istioctl"))
        made = safeapply(cluster, *APPLY, "-f", files(tmp_path / "made", *four("old")), *SET)
        assert made.code == 0, made.err
        cluster.do(lambda: setattr(cluster.server, "access", Access(cluster.store, {"robot": ROBOT})))
        cluster.kubeconfig.write_text(cluster.server.kubeconfig(token="robot"))
        yield cluster


@pytest.fixture
def inside(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Run the command in this process: there are many of them."""

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["safeapply", *arguments, "--kubeconfig", str(cluster.kubeconfig)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err, err
        return Said(int(ended.value.code or 0), out, err)

    return run


def printed(cluster: Cluster, *arguments: str) -> list[dict[str, Any]]:
    """Return the roles and bindings that the command prints."""
    said = safeapply(cluster, "rbac", *arguments, "--serviceaccount", "ci:robot")
    assert said.code == 0, said.err
    return list(yaml.safe_load_all(said.out))


def granted(cluster: Cluster, documents: list[dict[str, Any]]) -> None:
    """Let these be all the rights there are."""

    def replace() -> None:
        for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"):
            for one in cluster.store.list(GroupKind(RBAC, kind)):
                metadata = one["metadata"]
                served = cluster.store.kinds.named(GroupKind(RBAC, kind))
                assert served is not None
                cluster.store.delete(served.id_of(metadata["name"], metadata.get("namespace", "")))
        for document in documents:
            cluster.store.create(deepcopy(document))

    cluster.do(replace)


Case = tuple[str, str, str]
"""A verb, a resource with its group, and a namespace or nothing."""


def cases(
    documents: list[dict[str, Any]], served: frozenset[tuple[str, str]]
) -> Iterator[tuple[Case, list[dict[str, Any]]]]:
    """Yield every right of kinds that the server has, and what is granted without it."""
    for number, document in enumerate(documents):
        for index, one in enumerate(document.get("rules", ())):
            for resource in one["resources"]:
                if (one["apiGroups"][0], resource.partition("/")[0]) in served:
                    for verb in one["verbs"]:
                        left = deepcopy(documents)
                        left[number]["rules"][index : index + 1] = without(one, resource, verb)
                        space = document["metadata"].get("namespace", "")
                        if not any(grants(other, verb, one, resource, space) for other in left):
                            yield (verb, named(one, resource), space), left


def grants(document: Mapping[str, Any], verb: str, rule: Mapping[str, Any], resource: str, space: str) -> bool:
    """Tell whether a role gives a right on all objects, which one on some of them then adds nothing to."""
    return document["metadata"].get("namespace", "") == space and any(
        verb in one["verbs"]
        and resource in one["resources"]
        and one["apiGroups"] == rule["apiGroups"]
        and "resourceNames" not in one
        for one in document.get("rules", ())
    )


def without(rule: Mapping[str, Any], resource: str, verb: str) -> list[dict[str, Any]]:
    """Return a rule less one verb on one resource."""
    others = [one for one in rule["resources"] if one != resource]
    verbs = [one for one in rule["verbs"] if one != verb]
    kept = [{**rule, "resources": others}] if others else []
    return [*kept, *([{**rule, "resources": [resource], "verbs": verbs}] if verbs else [])]


def named(rule: Mapping[str, Any], resource: str) -> str:
    """Return a resource as errors name it."""
    group = rule["apiGroups"][0]
    return f"{resource}.{group}" if group else resource


def served(cluster: Cluster) -> frozenset[tuple[str, str]]:
    """Return the group and plural of all kinds that the server has."""
    return frozenset((kind.group, kind.plural) for kind in cluster.store.kinds)


def wanted(cluster: Cluster) -> str:
    """Return a directory that of each kind creates one, takes one over, and by what it leaves out deletes one."""
    return files(cluster.directory / "wanted", *of_team("b", *four("known")), *four("new"))


def test_with_exactly_these_rights_files_are_applied_pruned_and_deleted(cluster: Cluster) -> None:
    """For each command the rights that are printed for it; take-over from kubectl and an apply set included."""
    directory = wanted(cluster)
    granted(cluster, printed(cluster, "-f", directory, *SET))
    first = safeapply(cluster, *APPLY, "-f", directory, *SET)
    assert first.code == 0, first.err
    assert "secret/old pruned" in first.out
    granted(cluster, printed(cluster, "-f", directory, "--delete"))
    assert safeapply(cluster, "status").code == 0
    second = safeapply(cluster, "delete", "-f", directory, "--yes", "--soak", "0")
    assert second.code == 0, second.err
    assert "service/new deleted" in second.out


def test_a_lease_in_another_namespace_takes_rights_there(cluster: Cluster) -> None:
    """Printed for it, they are enough; those for Istio's root namespace are not, and the Lease is named."""
    cluster.do(lambda: cluster.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ops"}}))
    directory = files(cluster.directory / "wanted", rule("reviews", "v1", "v2"))
    granted(cluster, printed(cluster, "-f", directory))
    refused = safeapply(cluster, *APPLY, "-f", directory, "--lock-namespace", "ops")
    assert refused.code == 1
    assert "leases.coordination.k8s.io" in refused.err
    granted(cluster, printed(cluster, "-f", directory, "--lock-namespace", "ops"))
    done = safeapply(cluster, *APPLY, "-f", directory, "--lock-namespace", "ops")
    assert done.code == 0, done.err


def test_a_lease_that_somebody_wrote_by_hand_is_taken_when_it_is_free(cluster: Cluster) -> None:
    """Whoever may hold it could else bar everybody from it for good, by writing to it once."""
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "safeapply", "namespace": "istio-system"},
        "spec": {"holderIdentity": "nobody", "leaseDurationSeconds": 1, "renewTime": "2020-01-01T00:00:00.000000Z"},
    }

    def write() -> None:
        cluster.store.delete(ResourceId("coordination.k8s.io", "Lease", Namespace("istio-system"), "safeapply"))
        cluster.store.create(lease, manager="kubectl-patch")

    cluster.do(write)
    for version in ("v1", "v2"):
        directory = files(cluster.directory / version, rule("reviews", version))
        granted(cluster, printed(cluster, "-f", directory))
        done = safeapply(cluster, *APPLY, "-f", directory)
        assert done.code == 0, done.err


def test_each_user_gets_a_right_on_ones_own_records_and_a_group_none(cluster: Cluster) -> None:
    """By name, in a Role of its own: several who share a Role would share their records."""
    directory = files(cluster.directory / "wanted", rule("reviews", "v1"))
    said = safeapply(cluster, "rbac", "-f", directory, "--user", "alice", "--user", "bob", "--group", "ops")
    documents = list(yaml.safe_load_all(said.out))
    bound = {
        (one["roleRef"]["name"], *(subject["name"] for subject in one["subjects"]))
        for one in documents
        if one["kind"] == "RoleBinding" and one["metadata"]["name"] != "safeapply"
    }
    assert bound == {(record_name(user), user) for user in ("alice", "bob")}
    named = {
        (one["metadata"]["namespace"], one["metadata"]["name"], *rule_["resourceNames"])
        for one in documents
        for rule_ in one.get("rules", ())
        if rule_["resources"] == ["secrets"]
    }
    users = [record_name(user) for user in ("alice", "bob")]
    assert named == {(space, name, name) for space in ("default", "istio-system") for name in users}
    assert "# No right to keep records is here" in said.out


def test_in_general_the_rights_are_those_for_all_that_configures_a_mesh(cluster: Cluster) -> None:
    """Without files; of Secrets only one's own records, of workloads only lists, of ConfigMaps Istio's own."""
    documents = printed(cluster)
    granted(cluster, documents)
    directory = files(cluster.directory / "wanted", rule("reviews", "v1", "v2"))
    assert safeapply(cluster, *APPLY, "-f", directory).code == 0
    rules = [rule for document in documents for rule in document.get("rules", ())]
    assert all("*" not in (*one["verbs"], *one["resources"], *one["apiGroups"]) for one in rules)
    core = {resource: one["verbs"] for one in rules if one["apiGroups"] == [""] for resource in one["resources"]}
    asked = {"services": ["list"], "pods": ["list", "watch"], "pods/portforward": ["get", "create"]}
    records = {"secrets": ["get", "create", "patch"]}
    assert core == {**asked, **records, "configmaps": ["get"], "namespaces": ["list"]}
    names = [one.get("resourceNames") for one in rules if "secrets" in one["resources"]]
    assert names == [[record_name(ROBOT.name)]]
    spaces = [one["metadata"].get("namespace") for one in documents if "configmaps" in str(one.get("rules"))]
    assert spaces == ["istio-system"]


def test_each_right_that_is_missing_is_named_before_anything_is_written(
    cluster: Cluster, inside: Callable[..., Said]
) -> None:
    """Take them away one by one: verb, resource, namespace, what for and what to do are in the error each time."""
    directory = wanted(cluster)
    documents = printed(cluster, "-f", directory, *SET)
    found = [one for one in cases(documents, served(cluster)) if one[0][1] != NOTES]
    granted(cluster, [])
    before = content(cluster)
    for (verb, resource, namespace), left in found:
        granted(cluster, left)
        said = inside(*APPLY, "-f", directory, *SET)
        where = f"in namespace {namespace}" if namespace else "in all namespaces"
        lines = [line.strip() for line in said.err.splitlines() if line.startswith("  ")]
        told = [line for line in lines if line.startswith(f"{verb} {resource} ") and f"{where}, to " in line]
        assert (said.code, bool(told)) == (1, True), (verb, resource, namespace, said)
        assert "Ask an administrator to apply what `safeapply rbac` prints" in said.err
        assert content(cluster) == before
    assert len(found) > 40


def test_who_may_leave_no_notes_rolls_out_all_the_same(cluster: Cluster) -> None:
    """With the right there is one for each write, in the object's namespace; without it nothing is said."""
    for rights in (True, False):
        directory = files(
            cluster.directory / f"wanted-{rights}", rule(f"reviews-{rights}".lower(), "v1"), secret("s")
        )
        documents = printed(cluster, "-f", directory)
        for rules in (document["rules"] for document in documents if "rules" in document and not rights):
            rules[:] = [one for one in rules if one["resources"] != ["events"]]
        granted(cluster, documents)
        said = safeapply(cluster, *APPLY, "-f", directory)
        assert (said.code, "event" in said.all) == (0, False), said
    notes = cluster.do(lambda: cluster.store.list(GroupKind("events.k8s.io", "Event"), Namespace("default")))
    about = {(one["regarding"]["kind"], one["regarding"]["name"], one["reason"]) for one in notes}
    assert {("DestinationRule", "reviews-true", "Widened"), ("Secret", "s", "Widened")} <= about
    assert not any(name == "reviews-false" for _, name, _ in about)
    rules = cluster.do(lambda: cluster.store.list(GroupKind("networking.istio.io", "DestinationRule")))
    uids = {one["metadata"]["uid"] for one in rules}
    assert {one["regarding"]["uid"] for one in notes if one["regarding"]["kind"] == "DestinationRule"} <= uids
    assert not any("aGVyZQ==" in str(one) for one in notes)


def content(cluster: Cluster) -> list[Any]:
    """Return all objects that are not about rights."""
    kinds = [kind.group_kind for kind in cluster.store.kinds if kind.group not in {RBAC, "events.k8s.io"}]
    return cluster.do(lambda: [cluster.store.list(kind) for kind in kinds])


def test_a_plural_is_what_the_server_calls_it() -> None:
    """For every kind that the embedded server knows from the start."""
    assert {kind.group_kind: plural_of(kind.group_kind) for kind in BUILT_IN} == {
        kind.group_kind: kind.plural for kind in BUILT_IN
    }


def test_what_a_webhook_forbids_is_no_missing_right(cluster: Cluster) -> None:
    """A quota answers 403, too, and rights would not help."""
    directory = files(cluster.directory / "wanted", config())
    granted(cluster, printed(cluster, "-f", directory))
    cluster.server.deny = lambda verb, _: "exceeded quota: shop" if verb == "patch" else None
    said = safeapply(cluster, *APPLY, "-f", directory)
    assert said.code == 1
    assert "exceeded quota" in said.err
    assert "rbac" not in said.err


def test_accounts_are_written_as_kubectl_has_them(cluster: Cluster) -> None:
    """A subject that is none is a usage error."""
    said = safeapply(cluster, "rbac", "--serviceaccount", "robot")
    assert (said.code, "write NAMESPACE:NAME" in said.err) == (2, True)
