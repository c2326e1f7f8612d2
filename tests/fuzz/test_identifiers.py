"""Whatever a manifest says it is: no file outside of the directory made for it, no path but the one meant."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from urllib.parse import unquote

import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from safeapply.adapters.differ import _write
from safeapply.adapters.kube import _Served
from safeapply.adapters.paths import path_of
from safeapply.errors import ClusterError, ManifestsError
from safeapply.plans.becoming import Versions
from safeapply.plans.found import Found, decoded, encoded
from safeapply.report.diffs import side_by_side
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace, Resource, ResourceId
from tests.fuzz.amounts import few, many

PIECES = (
    *(
        "/",
        "//",
        "\\",
        ".",
        "..",
        "../",
        "%",
        "%2f",
        "%2e%2e",
        "?",
        "#",
        "&",
        ";",
        ":",
        "@",
        "=",
        " ",
        "\n",
        "\r\n",
    ),
    *("\0", "\x1b[2J", "\u202e", "\u2028", "\ufeff", "\u00e4", "\U0001f600", "a", "b-c", "A", "0", "v1", "x.y"),
    *("secrets", "istio-system", "namespaces", "/etc", "~", "a" * 70, "n" * 260),
)
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=5).map("".join)
GOOD = {
    "kind": st.sampled_from(("ConfigMap", "Role", "VirtualService", "Thing")),
    "apiVersion": st.sampled_from(
        ("v1", "rbac.authorization.k8s.io/v1", "networking.istio.io/v1", "things.dev/v1")
    ),
    "namespace": st.sampled_from(("default", "istio-system", "")),
    "name": st.sampled_from(("settings", "system:node", "a.b")),
}
IDENTITIES = st.fixed_dictionaries({key: good | TEXTS for key, good in GOOD.items()})


def is_where_it_belongs(identity: dict[str, str]) -> bool:
    """Read a manifest of this identity, and see where it leads; tell whether it was taken at all."""
    metadata = {"name": identity["name"], "namespace": identity["namespace"]}
    document = {"apiVersion": identity["apiVersion"], "kind": identity["kind"], "metadata": metadata}
    try:
        (found,) = read_manifests(
            [SourceText("a.yaml", json.dumps(document).encode())], default_namespace=Namespace("default")
        )
    except ManifestsError as error:
        says_so(str(error))
        return False
    stays_in_its_directory(found)
    is_asked_for_alone(found)
    assert decoded(encoded([Found(found.id, found.document, there=True)]))[0].id == found.id
    return True


def says_so(words: str) -> None:
    """Hold a refusal to its form: each line is one of ours, and shows all there is in it."""
    for line in words.split("\n"):
        assert line.startswith("a.yaml:1: ")
        assert line.isprintable()


def stays_in_its_directory(one: Resource) -> None:
    """Write the files of a diff, and look at everything around them."""
    before, after = side_by_side([Versions(one, one)])
    with tempfile.TemporaryDirectory() as root:
        place = Path(root, "a", "b", "c")
        place.mkdir(parents=True)
        _write(str(place), before)
        (written,) = place.iterdir()
        assert written.is_file()
        assert [path for path in Path(root).rglob("*") if path.is_file()] == [written]
        assert written.read_text(encoding="utf-8") == next(iter(after.values()))


def is_asked_for_alone(one: Resource) -> None:
    """Compare the segments that go over the wire with those that are meant."""
    inside = ("namespaces", one.id.namespace) if one.id.namespace else ()
    root = ("apis", *one.api_version.split("/")) if one.id.group else ("api", one.api_version)
    served = _Served(one.api_version, "things", namespaced=bool(one.id.namespace))
    are_the_segments(served.one(one.id.namespace, one.id.name), (*root, *inside, "things", one.id.name))
    are_the_segments(served.collection(one.id.namespace), (*root, *inside, "things"))


def are_the_segments(path: str, meant: tuple[str, ...]) -> None:
    """Hold a path against what is meant, as the HTTP client sends it."""
    url = yarl.URL(f"http://server{path}?fieldManager=x")
    assert tuple(map(unquote, url.raw_path.split("/"))) == ("", *meant)
    assert (dict(url.query), url.fragment, url.host) == ({"fieldManager": "x"}, "", "server")


def is_one_path_or_none(identity: dict[str, str]) -> None:
    """Ask for what never was a manifest: the last door holds alone, too."""
    one = ResourceId("", identity["kind"], Namespace(identity["namespace"]), identity["name"])
    segments = ("api", "v1", "namespaces", one.namespace, identity["kind"], one.name)
    try:
        path = path_of(*segments)
    except ClusterError:
        return
    are_the_segments(path, segments)


@few(500)
@given(IDENTITIES)
def test_no_identity_leads_elsewhere(identity: dict[str, str]) -> None:
    """A sample; the nightly run has 50,000."""
    is_where_it_belongs(identity)
    is_one_path_or_none(identity)


@pytest.mark.long
@many(50_000)
@given(IDENTITIES)
def test_no_identity_leads_elsewhere_often(identity: dict[str, str]) -> None:
    """The same, with new ones each time."""
    is_where_it_belongs(identity)
    is_one_path_or_none(identity)


def test_the_good_ones_are_taken() -> None:
    """A fuzz that refuses everything would show nothing."""
    identity = {"kind": "Role", "apiVersion": "rbac.authorization.k8s.io/v1", "namespace": "default", "name": "a:b"}
    assert is_where_it_belongs(identity)
