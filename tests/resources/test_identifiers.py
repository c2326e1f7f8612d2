"""Who an object may be is Kubernetes' own business, and all else is refused before it is a path or a file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from safeapply.errors import ClusterError, ManifestsError
from safeapply.plans.found import Found, decoded, encoded
from safeapply.resources.identifiers import IdentifierError, identified
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Document, Namespace, Resource, ResourceId

CONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "default"},
}
REFUSED: dict[str, dict[str, Any]] = {
    "the kind is a path": {"apiVersion": ".", "kind": "/../victim/evil", "metadata": {"name": "pth"}},
    "the group is a path": {**CONFIG, "apiVersion": "../../v1"},
    "the group has two dots": {**CONFIG, "apiVersion": "../v1"},
    "the version is a dot": {**CONFIG, "apiVersion": "apps/."},
    "the version is empty": {**CONFIG, "apiVersion": "apps/"},
    "the group is empty": {**CONFIG, "apiVersion": "/v1"},
    "the version ends the path": {**CONFIG, "apiVersion": "v1?dryRun=All"},
    "the kind is a line break": {**CONFIG, "kind": "Config\nMap"},
    "the kind ends in a line break": {**CONFIG, "kind": "ConfigMap\n"},
    "the namespace leads to Secrets": {
        **CONFIG,
        "metadata": {"name": "ca-key", "namespace": "istio-system/secrets/ca-key?"},
    },
    "the namespace leads up": {**CONFIG, "metadata": {"name": "a", "namespace": "default/../istio-system"}},
    "the namespace is two dots": {**CONFIG, "metadata": {"name": "a", "namespace": ".."}},
    "the namespace has capitals": {**CONFIG, "metadata": {"name": "a", "namespace": "Default"}},
    "the namespace is too long": {**CONFIG, "metadata": {"name": "a", "namespace": "n" * 64}},
    "the name ends the path": {**CONFIG, "metadata": {"name": "keepme?innocent"}},
    "the name is a fragment": {**CONFIG, "metadata": {"name": "keepme#innocent"}},
    "the name leads up": {**CONFIG, "metadata": {"name": ".."}},
    "the name is quoted": {**CONFIG, "metadata": {"name": "a%2Fb"}},
    "the name hides": {**CONFIG, "metadata": {"name": "a\u202eb"}},
    "the name is too long": {**CONFIG, "metadata": {"name": "n" * 254}},
    "the name of a role has an escape": {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "a\x1b[2J"},
    },
}
TAKEN: dict[str, dict[str, Any]] = {
    "a role": {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "system:node"}},
    "an aggregated kind": {
        "apiVersion": "image.openshift.io/v1",
        "kind": "ImageStreamTag",
        "metadata": {"name": "shop:v1"},
    },
    "a CRD": {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "virtualservices.networking.istio.io"},
    },
    "the longest": {**CONFIG, "metadata": {"name": "n" * 253, "namespace": "n" * 63}},
    "an address": {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": "2001:db8::1"},
    },
}


def manifest(document: Document, default: str = "default") -> Resource:
    """Read one manifest."""
    text = SourceText("a.yaml", json.dumps(document).encode())
    (found,) = read_manifests([text], default_namespace=Namespace(default))
    return found


@pytest.mark.parametrize("case", REFUSED)
def test_what_kubernetes_refuses_is_refused_in_a_manifest(case: str) -> None:
    """With the file and the line, before anything is asked or opened."""
    with pytest.raises(ManifestsError, match=r"^a\.yaml:1: "):
        manifest(REFUSED[case])


@pytest.mark.parametrize("case", REFUSED)
def test_what_kubernetes_refuses_is_refused_in_a_record(case: str) -> None:
    """It is an object that somebody else may have written."""
    document = REFUSED[case]
    group = str(document["apiVersion"]).rpartition("/")[0]
    metadata = document["metadata"]
    one = ResourceId(group, document["kind"], Namespace(metadata.get("namespace", "")), metadata["name"])
    if "version" in case or "group is empty" in case:
        return  # A record says the group alone.
    with pytest.raises(ClusterError, match="no object can be called so"):
        decoded(encoded([Found(one, document, there=True)]))


@pytest.mark.parametrize("case", TAKEN)
def test_what_kubernetes_takes_is_taken(case: str) -> None:
    """Roles and what other servers serve may have colons in their names."""
    document = TAKEN[case]
    assert manifest(document).id.name == document["metadata"]["name"]


@pytest.mark.parametrize("default", ["default/../istio-system", "istio-system/secrets/ca-key?", ".."])
def test_the_namespace_of_the_command_line_is_held_to_the_same(default: str) -> None:
    """It comes from a kubeconfig, or from a pipeline's variables."""
    with pytest.raises(ManifestsError, match="must be a DNS label"):
        manifest({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, default)


def test_a_name_is_never_empty() -> None:
    """The path of an object without a name is that of all objects."""
    with pytest.raises(IdentifierError):
        identified("", "ConfigMap", "default", "")
