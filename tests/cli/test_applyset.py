"""``--prune --applyset``: what kubectl does under this name (KEP-3659), in a safe order, at peace with kubectl."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from safeapply.resources.objects import GroupKind, Namespace, ResourceId
from tests.cli.clusters import Said, files, kubectl, names, safeapply
from tests.sandbox.apiserver.cluster import Cluster, config, rule, service

CONFIGS, SECRETS = GroupKind("", "ConfigMap"), GroupKind("", "Secret")
PREFIX = "applyset.kubernetes.io/"
SET = ("--prune", "--applyset", "shop", "-n", "default")
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a server."""
    with Cluster(tmp_path) as cluster:
        yield cluster


def applied(cluster: Cluster, *documents: Mapping[str, Any], options: tuple[str, ...] = SET) -> Said:
    """Apply documents as a set."""
    directory = files(cluster.directory / "wanted", *documents)
    return safeapply(cluster, "apply", "-f", directory, "--yes", "--soak", "0", *options)


def stored(cluster: Cluster, kind: GroupKind, name: str) -> Mapping[str, Any] | None:
    """Return a live object of namespace default."""
    return cluster.do(lambda: cluster.store.get(ResourceId(kind.group, kind.kind, Namespace("default"), name)))


def told(cluster: Cluster, name: str = "shop") -> dict[str, str]:
    """Return what a parent Secret says of its set."""
    secret = stored(cluster, SECRETS, name)
    assert secret is not None
    said = {**secret["metadata"]["labels"], **secret["metadata"]["annotations"]}
    return {key.removeprefix(PREFIX): value for key, value in said.items() if key.startswith(PREFIX)}


def configs(cluster: Cluster) -> list[str]:
    """Return the names of all ConfigMaps."""
    return names(cluster.do(lambda: cluster.store.list(CONFIGS)))


def with_label(document: dict[str, Any], **labels: str) -> dict[str, Any]:
    """Return a document with labels of the specification."""
    said = {f"{PREFIX}{key.replace('_', '-')}": value for key, value in labels.items()}
    return {**document, "metadata": {**document["metadata"], "labels": said}}


def test_what_the_files_hold_no_more_is_pruned(cluster: Cluster) -> None:
    """The parent is made with the set, covers what is there, and shrinks with it; others' objects stay."""
    applied(cluster, config("foreign"), options=())
    first = applied(cluster, config("one"), config("two"), rule("reviews", "v1"))
    assert first.code == 0, first.err
    assert "secret/shop created" in first.out
    assert told(cluster)["contains-group-kinds"] == "ConfigMap,DestinationRule.networking.istio.io"
    second = applied(cluster, config("one"))
    assert second.code == 0, second.err
    assert "configmap/two pruned" in second.out
    assert "destinationrule.networking.istio.io/reviews pruned" in second.out
    assert configs(cluster) == ["foreign", "one"]
    assert told(cluster)["contains-group-kinds"] == "ConfigMap"
    assert applied(cluster, config("one")).out.split() == ["configmap/one", "unchanged"]


def test_nothing_is_pruned_without_being_asked(cluster: Cluster) -> None:
    """A set is not remembered: without --prune the members stay, and --prune has to say what."""
    applied(cluster, config("one"), config("two"))
    assert applied(cluster, config("one"), options=()).code == 0
    assert configs(cluster) == ["one", "two"]
    for options, sentence in (
        (("--prune",), "--prune needs --applyset NAME or -l LABELS"),
        (("--applyset", "shop"), "--applyset needs --prune"),
        (("--prune", "--applyset", "shop", "-l", "a=b"), "exclude each other"),
        (("--prune", "--applyset", "shop"), "name that one with -n"),
        (("--prune", "--applyset", "cm/", "-n", "default"), "write NAME, or RESOURCE/NAME"),
        (("--prune", "--applyset", "services/shop", "-n", "default"), "the cluster defines no services"),
    ):
        result = applied(cluster, config("one"), options=options)
        assert (result.code, sentence in result.err) == (2, True), result.err


def test_the_parent_covers_both_before_and_what_is_left_after(cluster: Cluster) -> None:
    """A run that is killed between the two leaves no member behind that the next one would not find."""
    applied(cluster, config("one"))
    directory = files(cluster.directory / "wanted", service("reviews"))
    plan = " ".join(safeapply(cluster, "plan", "-f", directory, *SET).out.split())
    kinds = "~ secret default/shop annotations.applyset.kubernetes.io/contains-group-kinds"
    wide = f"{kinds} ConfigMap -> ConfigMap,Service (bridge)"
    members, last = (
        "- configmap default/one deleted + service default/reviews new",
        f"{kinds} ConfigMap,Service -> Service",
    )
    assert [plan.count(part) for part in (wide, members, last)] == [1, 1, 1], plan
    assert plan.index(wide) < plan.index(members) < plan.index(last)


def test_a_set_can_be_planned_without_a_cluster(cluster: Cluster) -> None:
    """The directory that passes for the cluster holds the parent, too."""
    applied(cluster, config("one"), config("two"))
    secrets, configs = cluster.do(lambda: [cluster.store.list(kind) for kind in (SECRETS, CONFIGS)])
    live = files(cluster.directory / "live", *secrets, *configs)
    wanted = files(cluster.directory / "wanted", config("one"))
    result = safeapply(cluster, "plan", "--live", live, "-f", wanted, *SET)
    assert result.code == 0, result.err
    assert "- configmap default/two  deleted" in result.out


def test_a_live_reference_from_outside_protects_a_member(cluster: Cluster) -> None:
    """Another team's route still names the subset: refused, with the route's name, and nothing is written."""
    applied(cluster, service("reviews"), rule("reviews", "v1"))
    outside = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "theirs"},
        "spec": {"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}]},
    }
    cluster.do(lambda: cluster.store.create(outside))
    before = cluster.store.resource_version
    result = applied(cluster, service("reviews"))
    assert result.code == 4
    assert "virtualservice default/theirs" in result.err
    assert cluster.store.resource_version == before


def test_a_manifest_may_not_claim_to_be_a_member(cluster: Cluster) -> None:
    """The label is the tool's to set; the sentence says where it stands."""
    result = applied(cluster, with_label(config("one"), part_of="me"))
    assert result.code == 1
    assert "0.yaml:" in result.err
    assert "which only --applyset may set" in result.err


def test_a_member_of_one_set_is_not_taken_by_another(cluster: Cluster) -> None:
    """The first set would lose it without a word."""
    applied(cluster, config("one"))
    result = applied(cluster, config("one"), options=("--prune", "--applyset", "cm/other", "-n", "default"))
    assert result.code == 4
    assert "configmap/default/one is a member of another apply set" in " ".join(result.err.split())
    assert stored(cluster, CONFIGS, "other") is None


def test_what_something_else_owns_is_not_pruned(cluster: Cluster) -> None:
    """An owner reference that is not the parent's is a conflict of owners (KEP-3659)."""
    owner = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "uid": "1"}]
    applied(cluster, config("one", ownerReferences=owner), config("two"))
    result = applied(cluster, config("two"))
    assert result.code == 4
    assert "Deployment shop owns it" in " ".join(result.err.split())
    assert configs(cluster) == ["one", "two"]


def test_a_forged_id_is_refused(cluster: Cluster) -> None:
    """An id is the hash of the parent's own name, so no parent can speak for another set."""
    forged = with_label(config("shop"), id="applyset-of-somebody-else-v1")
    forged["metadata"]["annotations"] = {f"{PREFIX}tooling": "safeapply/v1", f"{PREFIX}contains-group-kinds": ""}
    cluster.do(lambda: cluster.store.create(forged))
    result = applied(cluster, config("one"), options=("--prune", "--applyset", "configmaps/shop", "-n", "default"))
    assert result.code == 4
    assert "another object's id gives it power over another set" in " ".join(result.err.split())


def definition(**labels: str) -> dict[str, Any]:
    """Return the definition of a cluster-wide kind."""
    names = {"kind": "Bundle", "plural": "bundles"}
    spec = {
        "group": "shop.example",
        "scope": "Cluster",
        "names": names,
        "versions": [{"name": "v1", "served": True}],
    }
    head = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**head, "metadata": {"name": "bundles.shop.example", "labels": labels}, "spec": spec}


def test_a_custom_parent_has_to_be_of_a_kind_that_allows_it_and_to_exist(cluster: Cluster) -> None:
    """A cluster-wide one spans namespaces without -n."""
    options = ("--prune", "--applyset", "bundles.shop.example/all")
    cluster.do(lambda: cluster.store.create(definition()))
    assert "may not be the parent of an apply set" in applied(cluster, config("one"), options=options).err
    kubectl(cluster, "label", "crd", "bundles.shop.example", f"{PREFIX}is-parent-type=true")
    assert "create it first" in " ".join(applied(cluster, config("one"), options=options).err.split())
    annotations = {f"{PREFIX}tooling": "safeapply/v1"}
    metadata = {"name": "all", "annotations": annotations}
    bundle = {"apiVersion": "shop.example/v1", "kind": "Bundle", "metadata": metadata}
    cluster.do(lambda: cluster.store.create(bundle))
    assert "bears the label" in applied(cluster, config("one"), options=options).err


@needs_kubectl
def test_the_parent_is_what_kubectl_makes(cluster: Cluster) -> None:
    """Label for label, annotation for annotation, but for the tool's name; so are the members' labels."""
    directory = files(
        cluster.directory / "wanted", config("one", {"a": "1"}), service("reviews"), rule("reviews", "v1")
    )
    done = kubectl(cluster, "apply", "--server-side", "--validate=false", "-f", directory, *SET)
    assert done.code == 0, done.err
    theirs, member = told(cluster), stored(cluster, CONFIGS, "one")
    kubectl(cluster, "delete", "secret", "shop", "-n", "default")
    assert applied(cluster, config("one", {"a": "1"}), service("reviews"), rule("reviews", "v1")).code == 0
    assert {**told(cluster), "tooling": ""} == {**theirs, "tooling": ""}
    assert member is not None
    assert member["metadata"]["labels"] == {f"{PREFIX}part-of": theirs["id"]}
    assert stored(cluster, CONFIGS, "one")["metadata"]["labels"] == member["metadata"]["labels"]  # type: ignore[index]


@needs_kubectl
def test_a_set_of_kubectls_is_kubectls_until_it_is_handed_over(cluster: Cluster) -> None:
    """Refused with the command that hands it over; after that it is pruned here, and refused there."""
    both = files(cluster.directory / "both", config("one", {"a": "1"}), config("two"), service("reviews"))
    assert kubectl(cluster, "apply", "--server-side", "--validate=false", "-f", both, *SET).code == 0
    refused = applied(cluster, config("one", {"a": "1"}))
    assert refused.code == 4
    said = " ".join(refused.err.split())
    assert "is an apply set of kubectl, and only kubectl may change it" in said
    _, _, hand_over = said.partition("for good: kubectl ")
    assert kubectl(cluster, *hand_over.split()[:6]).code == 0
    options = (*SET, "--force-conflicts")
    assert applied(cluster, config("one", {"a": "1"}), options=options).code == 0
    assert configs(cluster) == ["one"]
    assert told(cluster)["contains-group-kinds"] == "ConfigMap"
    theirs = kubectl(cluster, "apply", "--server-side", "--validate=false", "-f", both, *SET)
    assert theirs.code == 1
    assert 'is managed by tooling "safeapply" instead of "kubectl"' in theirs.err


@pytest.mark.parametrize("how", ["client", "server"])
def test_a_dry_run_shows_the_plan_and_writes_nothing(cluster: Cluster, how: str) -> None:
    """The client's asks nothing of the server but to read; both say what would happen in kubectl's words."""
    applied(cluster, config("one"), config("two"))
    before = cluster.store.resource_version
    asked: list[str] = []
    cluster.server.deny = lambda verb, _: asked.append(verb)
    result = applied(cluster, config("one", {"a": "1"}), config("three"), options=(*SET, f"--dry-run={how}"))
    assert result.code == 0, result.err
    assert cluster.store.resource_version == before
    assert (how == "server") == bool(set(asked) - {"get", "list"})
    suffix = "dry run" if how == "client" else "server dry run"
    assert sorted(result.out.splitlines()) == [
        f"configmap/one configured ({suffix})",
        f"configmap/three created ({suffix})",
        f"configmap/two pruned ({suffix})",
    ]
    assert "Plan: " in result.err


def test_a_dry_run_of_the_client_knows_what_is_there_already(cluster: Cluster) -> None:
    """Defaults that the server filled in are no change, and a field that the files dropped is one."""
    applied(cluster, service("reviews"), config("one", {"a": "1", "b": "2"}))
    result = applied(cluster, service("reviews"), config("one", {"a": "1"}), options=(*SET, "--dry-run=client"))
    assert sorted(result.out.splitlines()) == [
        "configmap/one configured (dry run)",
        "service/reviews unchanged (dry run)",
    ]
    assert "data -b" in result.err or "data.b -2" in result.err
