"""The real kubectl takes the server for a cluster."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sandbox.apiserver.cluster import PATIENCE, Cluster, config, rule, service

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it printed, with single spaces."""
        return [" ".join(line.split()) for line in self.out.splitlines() if line.strip()]


class Kubectl:
    """kubectl in a directory of its own."""

    def __init__(self, cluster: Cluster) -> None:
        self._directory = cluster.directory
        self._options = ("--kubeconfig", str(cluster.kubeconfig), "--cache-dir", str(cluster.directory / "cache"))

    def __call__(self, command: str, *documents: Any) -> Said:
        """Run a command, with ``-f`` where there are documents."""
        arguments = [*command.split(), *(("-f", self._written(documents)) if documents else ())]
        ended = subprocess.run(
            ["kubectl", *self._options, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        return Said(ended.returncode, ended.stdout, ended.stderr)

    def _written(self, documents: tuple[Any, ...]) -> str:
        path: Path = self._directory / "manifests.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        return str(path)


APPLY = "apply --validate=false"
APPLY_AS = "apply --server-side --validate=false --field-manager="


@pytest.fixture
def kubectl(cluster: Cluster) -> Callable[..., Said]:
    """Hand over kubectl, pointed at the server."""
    return Kubectl(cluster)


def test_get_prints_tables_of_one_and_many_kinds(kubectl: Kubectl) -> None:
    """Columns are the server's; short names, -A, ``all`` and other categories find their kinds."""
    kubectl(APPLY, rule(), service(), config())
    assert kubectl("get dr").lines[0] == "NAME HOST AGE"
    assert kubectl("get dr reviews --no-headers").lines[0].startswith("reviews reviews ")
    assert kubectl("get svc -A -o name").lines == ["service/reviews"]
    assert kubectl("get all -o name").lines == ["service/reviews"]
    assert kubectl("get istio-io -o name").lines == ["destinationrule.networking.istio.io/reviews"]
    everywhere = kubectl("get dr,svc,cm -A").lines
    assert [line.split()[:2] for line in everywhere if line.startswith("default")] == [
        ["default", "destinationrule.networking.istio.io/reviews"],
        ["default", "service/reviews"],
        ["default", "configmap/settings"],
    ]


def test_get_prints_documents(kubectl: Kubectl) -> None:
    """Both -o yaml and -o json give the object; a list in chunks is whole."""
    kubectl(APPLY, *(config(f"settings-{number}", {"a": "1"}) for number in range(5)))
    assert yaml.safe_load(kubectl("get cm settings-0 -o yaml").out)["data"] == {"a": "1"}
    assert json.loads(kubectl("get cm settings-0 -o json").out)["metadata"]["namespace"] == "default"
    assert len(json.loads(kubectl("get cm -o json --chunk-size=2").out)["items"]) == 5
    assert len(kubectl("get cm --chunk-size=2 --no-headers").lines) == 5
    missing = kubectl("get vs nowhere")
    assert (missing.code, missing.err.strip()) == (
        1,
        'Error from server (NotFound): virtualservices.networking.istio.io "nowhere" not found',
    )


def test_apply_on_the_client_prunes_what_it_once_said(kubectl: Kubectl) -> None:
    """Client-side apply merges ports by key, and says created, unchanged, configured."""
    assert kubectl(APPLY, service("reviews", 80, 81)).lines == ["service/reviews created"]
    assert kubectl(APPLY, service("reviews", 80, 81)).lines == ["service/reviews unchanged"]
    kubectl("annotate svc reviews owner=me")
    assert kubectl(APPLY, service("reviews", 81)).lines == ["service/reviews configured"]
    live = yaml.safe_load(kubectl("get svc reviews -o yaml").out)
    assert [port["port"] for port in live["spec"]["ports"]] == [81]
    assert live["metadata"]["annotations"]["owner"] == "me"


def test_apply_on_the_server_takes_over_what_the_client_applied(kubectl: Kubectl, cluster: Cluster) -> None:
    """Kubectl migrates its own fields, so that going over to --server-side is no conflict."""
    kubectl(APPLY, service("reviews", 80, 81))
    moved = kubectl("apply --server-side --validate=false", service("reviews", 81))
    assert (moved.code, moved.lines) == (0, ["service/reviews serverside-applied"])
    live = cluster.ask("GET", "/api/v1/namespaces/default/services/reviews").body
    assert [port["port"] for port in live["spec"]["ports"]] == [81]
    assert ("kubectl", "Apply") in {(one["manager"], one["operation"]) for one in live["metadata"]["managedFields"]}


def test_conflicts_are_told_as_kubectl_tells_them(kubectl: Kubectl) -> None:
    """Who owns which field is in the message, and --force-conflicts takes it."""
    assert kubectl(APPLY_AS + "one", rule("reviews", "v1")).code == 0
    refused = kubectl(APPLY_AS + "two", rule("reviews", "v2"))
    assert refused.code == 1
    first, *rest = refused.err.splitlines()
    assert first == 'error: Apply failed with 1 conflict: conflict with "one": .spec.subsets'
    assert rest[0].startswith("Please review the fields above")
    assert kubectl(APPLY_AS + "two --force-conflicts", rule("reviews", "v2")).code == 0
    several = kubectl(APPLY_AS + "one", rule("ratings", "v1") | {"metadata": rule()["metadata"]})
    assert several.err.splitlines()[:3] == [
        'error: Apply failed with 2 conflicts: conflicts with "two":',
        "- .spec.host",
        "- .spec.subsets",
    ]


def test_a_dry_run_and_a_diff_write_nothing(kubectl: Kubectl, cluster: Cluster) -> None:
    """--dry-run=server and diff show what would be, and the cluster is as it was."""
    kubectl(APPLY, rule("reviews", "v1"))
    before = cluster.store.resource_version
    assert (
        kubectl(APPLY + " --dry-run=server", rule("reviews", "v2")).lines[0].endswith("configured (server dry run)")
    )
    shown = kubectl("diff", rule("reviews", "v1", "v2"))
    assert shown.code == 1
    assert "+    name: v2" in shown.out.splitlines()
    assert kubectl("diff", rule("reviews", "v1")).code == 0
    assert cluster.store.resource_version == before


def test_edits_waits_and_deletions(kubectl: Kubectl) -> None:
    """label, patch, replace, wait, describe and delete -f do what they say."""
    kubectl(APPLY, rule("reviews", "v1"), config())
    assert kubectl("label cm settings tier=web").lines == ["configmap/settings labeled"]
    assert kubectl("get cm -l tier=web -o name").lines == ["configmap/settings"]
    kubectl('patch dr reviews --type=merge -p {"spec":{"host":"ratings"}}')
    assert kubectl("wait dr/reviews --for=jsonpath={.spec.host}=ratings --timeout=10s").code == 0
    assert kubectl("replace --validate=false", config(data={"b": "2"})).lines == ["configmap/settings replaced"]
    assert "Host: ratings" in kubectl("describe dr reviews").lines
    gone = kubectl("delete", rule(), config())
    assert [line.partition(" deleted")[0] for line in gone.lines] == [
        'destinationrule.networking.istio.io "reviews"',
        'configmap "settings"',
    ]
    again = kubectl("delete", rule())
    assert again.code == 1
    assert "not found" in again.err


def test_what_cannot_be_read_is_refused_in_words(kubectl: Kubectl) -> None:
    """Kubectl's typed commands send protobuf, which the server does not read, and says so."""
    refused = kubectl("create namespace shop")
    assert refused.code == 1
    assert "accepted media types include: application/json, application/yaml" in refused.err
