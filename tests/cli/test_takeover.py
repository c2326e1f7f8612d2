"""Objects that client-side kubectl wrote: taken over without a conflict, and kubectl goes on to work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.clusters import Said, files, kubectl, safeapply
from tests.sandbox.apiserver.cluster import CONFIGMAPS, RULES, SERVICES, Cluster, config, rule, service

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")

TCP: dict[str, Any] = {"trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 1}}}}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Both:
    """One directory of manifests, and both tools."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster, self.directory = cluster, directory

    def safeapply(self, *documents: Mapping[str, Any], also: tuple[str, ...] = ()) -> Said:
        """Apply documents by safeapply."""
        return safeapply(
            self.cluster, "apply", "-f", files(self.directory, *documents), "--yes", "--soak", "0", *also
        )

    def kubectl(self, *documents: Mapping[str, Any], also: tuple[str, ...] = ()) -> Said:
        """Apply documents by kubectl, on the client."""
        return kubectl(self.cluster, "apply", "--validate=false", "-f", files(self.directory, *documents), *also)

    def live(self, path: str) -> Mapping[str, Any]:
        """Return an object as it is."""
        return self.cluster.ask("GET", path).body

    def managers(self, path: str) -> set[tuple[str, str]]:
        """Return who owns something of an object, and by which means."""
        return {(one["manager"], one["operation"]) for one in self.live(path)["metadata"]["managedFields"]}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a running API server."""
    with Cluster(tmp_path) as running:
        yield running


@pytest.fixture
def both(cluster: Cluster, tmp_path: Path) -> Both:
    """Hand over both tools."""
    return Both(cluster, tmp_path / "files")


def test_the_first_run_on_a_real_directory_is_no_conflict(both: Both) -> None:
    """What kubectl applied is changed and owned by safeapply, under no other name."""
    both.kubectl(rule("reviews", "v1"))
    said = both.safeapply(rule("reviews", "v1", "v2"))
    assert (said.code, said.out) == (0, "destinationrule.networking.istio.io/reviews configured\n"), said.err
    assert [one["name"] for one in both.live(f"{RULES}/reviews")["spec"]["subsets"]] == ["v1", "v2"]
    assert both.managers(f"{RULES}/reviews") == {("safeapply", "Apply")}


@pytest.mark.parametrize("manager", ["kubectl-client-side-apply", "ci"])
def test_a_field_that_is_dropped_goes_though_nothing_conflicts(both: Both, manager: str) -> None:
    """Its fields are handed over first, under whatever name they were applied."""
    both.kubectl(rule("reviews", "v1", version="v1", **TCP), also=("--field-manager", manager))
    said = both.safeapply(rule("reviews", "v1"))
    assert (said.code, said.out) == (0, "destinationrule.networking.istio.io/reviews configured\n"), said.err
    assert "trafficPolicy" not in both.live(f"{RULES}/reviews")["spec"]


def test_an_item_of_a_list_by_keys_goes_too(both: Both) -> None:
    """Ports are merged by number: a port that the manifest dropped is in the plan, and then gone."""
    both.kubectl(service("reviews", 80, 81))
    said = both.safeapply(service("reviews", 81))
    assert (said.code, said.out) == (0, "service/reviews configured\n"), said.err
    assert [one["port"] for one in both.live(f"{SERVICES}/reviews")["spec"]["ports"]] == [81]


def test_what_another_manager_owns_as_well_stays(both: Both) -> None:
    """A field is gone only when the last of its owners has let go; the plan knows."""
    both.kubectl(config("settings", {"a": "1", "b": "2"}))
    both.cluster.apply(f"{CONFIGMAPS}/settings", config("settings", {"b": "2"}), "other")
    said = both.safeapply(config("settings", {"a": "1"}))
    assert (said.code, said.out) == (0, "configmap/settings unchanged\n"), said.err
    assert both.live(f"{CONFIGMAPS}/settings")["data"] == {"a": "1", "b": "2"}


def test_kubectl_applies_the_same_files_afterwards_and_finds_nothing_to_do(both: Both) -> None:
    """Its record of what was applied last is kept up to date, word for word."""
    both.kubectl(rule("reviews", "v1"))
    wanted = rule("reviews", "v1", "v2") | {"metadata": {"name": "reviews", "annotations": {"why": "<a> & b"}}}
    assert both.safeapply(wanted).code == 0
    said = both.kubectl(wanted)
    assert (said.code, said.out, said.err) == (0, "destinationrule.networking.istio.io/reviews unchanged\n", "")


def test_kubectl_still_removes_what_its_files_do_not_hold_any_more(both: Both) -> None:
    """A field that safeapply added goes when kubectl applies files without it."""
    both.kubectl(rule("reviews", "v1"))
    assert both.safeapply(rule("reviews", "v1", version="v1", **TCP)).code == 0
    said = both.kubectl(rule("reviews", "v1"))
    assert (said.code, said.err) == (0, "")
    assert "trafficPolicy" not in both.live(f"{RULES}/reviews")["spec"]
    assert both.safeapply(rule("reviews", "v2")).code == 0, "and back again"
    assert both.managers(f"{RULES}/reviews") == {("safeapply", "Apply")}


def test_what_safeapply_created_bears_no_record_of_kubectls(both: Both) -> None:
    """The annotation is kept where kubectl uses it, and nowhere else; ownership is as after any apply."""
    assert both.safeapply(rule("reviews", "v1", version="v1", **TCP)).code == 0
    assert both.safeapply(rule("reviews", "v1")).code == 0
    live = both.live(f"{RULES}/reviews")
    assert LAST_APPLIED not in json.dumps(live)
    assert "trafficPolicy" not in live["spec"]
    assert both.managers(f"{RULES}/reviews") == {("safeapply", "Apply")}


def test_a_conflict_with_somebody_else_is_shown_as_kubectl_shows_it(both: Both) -> None:
    """Who gives way is left out; nothing is written; --force-conflicts takes the fields."""
    both.kubectl(rule("reviews", "v1"))
    subsets = rule("reviews", "v3") | {"spec": {"subsets": rule("reviews", "v3")["spec"]["subsets"]}}
    both.cluster.apply(f"{RULES}/reviews", subsets, "helm", force=True)
    refused = both.safeapply(rule("ratings", "v2") | {"metadata": {"name": "reviews"}})
    assert refused.code == 1
    assert 'Apply failed with 1 conflict: conflict with "helm": .spec.subsets' in refused.err
    forced = both.safeapply(rule("reviews", "v2"), also=("--force-conflicts",))
    assert forced.code == 0, forced.err
    assert [one["name"] for one in both.live(f"{RULES}/reviews")["spec"]["subsets"]] == ["v2"]


def test_what_argo_cd_applied_and_a_revision_dropped_goes_with_force_and_comes_back(both: Both) -> None:
    """By server-side apply: without force it is Argo CD's to remove; its marks stay, and so does a way back."""
    marks = {"annotations": {"argocd.argoproj.io/tracking-id": "reviews"}}
    live = {**rule("reviews", "v1", **TCP), "metadata": {"name": "reviews", "namespace": "default", **marks}}
    both.cluster.apply(f"{RULES}/reviews", live, "argocd-controller")
    assert "unchanged" in both.safeapply(rule("reviews", "v1")).out
    said = both.safeapply(rule("reviews", "v1"), also=("--force-conflicts",))
    assert (said.code, "configured" in said.out) == (0, True), said.err
    found = both.live(f"{RULES}/reviews")
    assert "trafficPolicy" not in found["spec"]
    assert found["metadata"]["annotations"] == marks["annotations"]
    assert "unchanged" in both.safeapply(rule("reviews", "v1"), also=("--force-conflicts",)).out
    back = safeapply(both.cluster, "rollback", "--yes", "--soak", "0", "--force-conflicts")
    assert back.code == 0, back.err
    assert both.live(f"{RULES}/reviews")["spec"] == live["spec"]
