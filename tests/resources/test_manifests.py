"""Reading manifests: what comes out of good ones, and what is said of bad ones."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safeapply.errors import ManifestsError
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import FieldPath, GroupKind, Namespace, Resource

Read = Callable[..., tuple[Resource, ...]]
FaultsOf = Callable[..., str]

ROUTE = """\
# who serves reviews
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
  - route:
    - destination:
        host: reviews
        subset: v1
      weight: 80
    - destination: {host: reviews, subset: v2}
      weight: 20
"""


def read_texts(*texts: str | bytes, **options: Any) -> tuple[Resource, ...]:
    """Read texts as the files ``a.yaml``, ``b.yaml`` and so on."""
    dedented = (dedent(text) if isinstance(text, str) else text for text in texts)
    sources = [SourceText(f"{chr(97 + index)}.yaml", text) for index, text in enumerate(dedented)]
    return read_manifests(sources, **({"default_namespace": Namespace("default")} | options))


@pytest.fixture
def read() -> Read:
    """Read texts as manifests."""
    return read_texts


@pytest.fixture
def faults_of() -> FaultsOf:
    """Read texts that cannot be used, and return what the user is told."""

    def told(*texts: str | bytes, **options: Any) -> str:
        with pytest.raises(ManifestsError) as caught:
            read_texts(*texts, **options)
        return str(caught.value)

    return told


class TestGoodManifests:
    """Objects, their identities and their places."""

    def test_an_object_knows_file_and_line_of_every_field(self, read: Read) -> None:
        """A refusal can point at the subset that it is about."""
        (resource,) = read(ROUTE)
        origin = resource.origin
        assert origin is not None
        assert (origin.file, origin.line) == ("a.yaml", 3)
        assert origin.line_of(FieldPath("spec.http[0].route[0].destination.subset")) == 13
        assert origin.line_of(FieldPath("spec.http[0].route[1].destination.subset")) == 15
        assert origin.line_of(FieldPath("spec.http[0].route[1].destination.port")) == 15
        assert origin.line_of(FieldPath("status")) == 3

    def test_the_default_namespace_goes_into_the_document(self, read: Read) -> None:
        """The document is what will be written, so it says where."""
        (resource,) = read(ROUTE, default_namespace=Namespace("shop"))
        assert str(resource.id) == "virtualservice.networking.istio.io/shop/reviews"
        assert resource.metadata["namespace"] == "shop"

    def test_documents_come_in_the_order_of_the_files(self, read: Read) -> None:
        """Several documents, comments, empty ones and ``null`` make no difference."""
        first = """\
            %YAML 1.1
            ---
            {apiVersion: v1, kind: ConfigMap, metadata: {name: one}}
            ---
            # nothing here
            ---
            null
            --- # the second
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: two}
            ...
        """
        resources = read(first, '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "three"}}')
        assert [r.id.name for r in resources] == ["one", "two", "three"]
        assert [r.origin.line for r in resources if r.origin] == [3, 9, 1]

    def test_lists_are_taken_apart_with_real_line_numbers(self, read: Read) -> None:
        """``List`` holds anything; ``VirtualServiceList`` lends its items their kind."""
        text = """\
            apiVersion: v1
            kind: List
            items:
            - apiVersion: networking.istio.io/v1
              kind: VirtualServiceList
              items:
              - metadata: {name: reviews}
                spec:
                  hosts: [reviews]
            - apiVersion: v1
              kind: ServiceList
              items: []
        """
        (resource,) = read(text)
        assert str(resource.id) == "virtualservice.networking.istio.io/default/reviews"
        assert resource.api_version == "networking.istio.io/v1"
        assert resource.origin is not None
        assert resource.origin.line_of(FieldPath("spec.hosts[0]")) == 9

    def test_json_objects_may_follow_each_other(self, read: Read) -> None:
        """Go's decoder takes a stream of objects, and escapes that YAML does not know."""
        one = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"%s"},"data":{"face":"\\ud83d\\ude00"}}'
        resources = read(f"{one % 'a'}\n{one % 'b'}")
        assert [(r.id.name, r.document["data"]["face"]) for r in resources] == [("a", "😀"), ("b", "😀")]
        assert [r.origin.line for r in resources if r.origin] == [1, 2]

    def test_cluster_scoped_kinds_have_no_namespace(self, read: Read) -> None:
        """Built-in kinds are known; of others the caller may know better."""
        text = """\
            {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
            ---
            {apiVersion: example.com/v1, kind: Fleet, metadata: {name: fleet}}
        """
        assert [str(r.id) for r in read(text)] == ["namespace/shop", "fleet.example.com/default/fleet"]
        scoped = read(text, namespaced=lambda kind: kind == GroupKind("", "Namespace"))
        assert [str(r.id) for r in scoped] == ["namespace/default/shop", "fleet.example.com/fleet"]

    def test_anchors_and_merges_are_written_out(self, read: Read) -> None:
        """The merge key fills in what is not said; the first of several wins."""
        text = """\
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: c}
            x: &x {one: "1", two: "2"}
            y: &y {two: "3", three: "4"}
            data: {<<: [*x, *y], one: own}
            again: *x
        """
        (resource,) = read(text)
        assert resource.document["data"] == {"one": "own", "two": "2", "three": "4"}
        assert resource.document["again"] == {"one": "1", "two": "2"}

    def test_a_byte_order_mark_is_no_matter(self, read: Read) -> None:
        """Windows editors put one before UTF-8."""
        (resource,) = read(b"\xef\xbb\xbf" + ROUTE.replace("\n", "\r\n").encode())
        assert resource.id.name == "reviews"
        assert resource.origin is not None
        assert resource.origin.line == 3

    def test_keys_that_are_not_text_become_text_as_in_kubectl(self, read: Read) -> None:
        """JSON has only text for keys."""
        (resource,) = read("{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {1: a, yes: b, 1.5: c}}")
        assert resource.document["data"] == {"1": "a", "true": "b", "1.5": "c"}


FAULTS = {
    "a wrong type in each field that is read": (
        """\
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata:
          name: reviews
          labels: {version: 1}
        spec:
          hosts: [reviews, 3]
          http:
          - route:
            - destination: {host: reviews, port: {number: "80"}}
              weight: eighty
            - weight: 20
            - destination:
          - route: {destination: a}
        """,
        """\
        a.yaml:5: metadata.labels.version: expected str, got int 1; quote it
        a.yaml:7: spec.hosts[1]: expected str, got int 3; quote it
        a.yaml:10: spec.http[0].route[0].destination.port.number: expected int, got str "80"; remove the quotes
        a.yaml:11: spec.http[0].route[0].weight: expected int, got str "eighty"
        a.yaml:12: spec.http[0].route[1]: the field destination is missing
        a.yaml:13: spec.http[0].route[2].destination: expected mapping, got null
        a.yaml:14: spec.http[1].route: expected list, got mapping; begin it with "- "
        """,
    ),
    "subsets": (
        """\
        apiVersion: networking.istio.io/v1alpha3
        kind: DestinationRule
        metadata: {name: reviews}
        spec:
          subsets:
          - name: 1
            labels: {version: 2.0, on: true}
          - labels: {}
        """,
        """\
        a.yaml:4: spec: the field host is missing
        a.yaml:6: spec.subsets[0].name: expected str, got int 1; quote it
        a.yaml:7: spec.subsets[0].labels.true: expected str, got bool true; quote it
        a.yaml:7: spec.subsets[0].labels.version: expected str, got int 2; quote it
        a.yaml:8: spec.subsets[1]: the field name is missing
        """,
    ),
    "other kinds that are read": (
        """\
        {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80, targetPort: []}, {name: x}]}}
        ---
        {apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: a}, spec: {servers: [{hosts: a}]}}
        ---
        {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: e}, spec: {ports: [number: 1.5]}}
        ---
        {apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: a}, spec: {egress: [{port: 80}]}}
        ---
        {apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: two}}
        """,
        """\
        a.yaml:1: spec.ports[0].targetPort: expected int or str, got list
        a.yaml:1: spec.ports[1]: the field port is missing
        a.yaml:3: spec.servers[0].hosts: expected list, got str "a"; begin it with "- "
        a.yaml:3: spec.servers[0]: the field port is missing
        a.yaml:5: spec.ports[0].number: expected int, got float 1.5
        a.yaml:5: spec: the field hosts is missing
        a.yaml:7: spec.egress[0].port: expected mapping, got int 80
        a.yaml:7: spec.egress[0]: the field hosts is missing
        a.yaml:9: spec.replicas: expected int, got str "two"
        """,
    ),
    "no identity": (
        """\
        metadata: {labels: {}}
        ---
        {apiVersion: a/b/c, kind: Foo, metadata: {name: a/b}}
        ---
        {apiVersion: v1, kind: Job, metadata: {generateName: job-}}
        ---
        {apiVersion: v1, kind: ConfigMap, metadata: {name: 12}}
        ---
        {apiVersion: v1, kind: ConfigMap, metadata: name}
        ---
        {apiVersion: kustomize.config.k8s.io/v1beta1, kind: Kustomization}
        """,
        """\
        a.yaml:1: apiVersion is missing; write the group and version of the kind
        a.yaml:1: kind is missing; write what this object is
        a.yaml:1: metadata.name is missing; give the object a name
        a.yaml:3: apiVersion "a/b/c" must be "version" or "group/version"
        a.yaml:3: metadata.name "a/b" may not hold "/" or "%", nor be "." or ".."
        a.yaml:5: metadata.generateName cannot be applied: each run would make another object; give it metadata.name
        a.yaml:7: metadata.name: expected str, got int 12; quote it
        a.yaml:9: metadata: expected mapping, got str "name"
        a.yaml:11: this is for kustomize; pass its output: kubectl kustomize DIR | safeapply ... -f -
        """,
    ),
    "not YAML, in several documents of one file": (
        """\
        foo: [1
        ---
        a:
        \t- b
        ---
        image: {{ .Values.image }}
        ---
        a: {{ .Values.image }}:{{ .Values.tag }}
        ---
        a: {{- if .Values.x }}
        ---
        a: "never closed
        b: c
        ---
        a: @
        """,
        """\
        a.yaml:2: not YAML: did not find expected ',' or ']' while parsing a flow sequence from line 1 (column 1)
        a.yaml:4: not YAML: a tab indents here; use spaces (column 1)
        a.yaml:6: a key must be text; quote it, or render the template first
        a.yaml:8: a key must be text; quote it, or render the template first
        a.yaml:10: not YAML: this looks like a template; render it first (column 6)
        a.yaml:14: not YAML: found unexpected end of stream while scanning a quoted scalar from line 12 (column 1)
        a.yaml:15: not YAML: found character that cannot start any token (column 4)
        """,
    ),
    "not a manifest": (
        """\
        just text
        ---
        - a: list
        ---
        {apiVersion: v1, kind: List, items: {}}
        ---
        {apiVersion: v1, kind: List, items: [text]}
        ---
        5
        """,
        """\
        a.yaml:1: this is plain text, not a manifest: expected apiVersion, kind and metadata
        a.yaml:3: this is a list, not a manifest: expected apiVersion, kind and metadata
        a.yaml:5: the items of List must be a list
        a.yaml:7: this is plain text, not a manifest: expected apiVersion, kind and metadata
        a.yaml:9: this is a single value, not a manifest: expected apiVersion, kind and metadata
        """,
    ),
    "a key given twice": (
        """\
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: c, name: d}
        data:
          a: "1"
          b: "2"
          a: "3"
        """,
        """\
        a.yaml:3: the key "name" stands twice on this line; keep one
        a.yaml:7: the key "a" stands here and on line 5; keep one
        """,
    ),
    "aliases": (
        """\
        a: *b
        ---
        a: &b [*b]
        ---
        <<: 5
        ---
        a: .inf
        """,
        """\
        a.yaml:1: the alias here has no anchor before it, or stands inside it; quote a text that begins with *
        a.yaml:3: the alias here has no anchor before it, or stands inside it; quote a text that begins with *
        a.yaml:5: << must name a mapping, or a list of mappings
        a.yaml:7: .inf is no number in JSON; quote it if text is meant
        """,
    ),
}


class TestBadManifests:
    """Every fault at once, each with its line and the next move."""

    @pytest.mark.parametrize("case", FAULTS)
    def test_every_fault_is_named(self, case: str, faults_of: FaultsOf) -> None:
        """The text on the left, the whole of what the user reads on the right."""
        text, told = FAULTS[case]
        assert faults_of(text) == dedent(told).rstrip("\n")

    def test_faults_of_all_files_come_together(self, faults_of: FaultsOf) -> None:
        """A user mends everything in one go."""
        told = faults_of("a: [", "kind: Foo", ROUTE)
        assert {line.partition(":")[0] for line in told.splitlines()} == {"a.yaml", "b.yaml"}

    def test_a_duplicate_names_both_places_whatever_the_version(self, faults_of: FaultsOf) -> None:
        """``v1`` and ``v1alpha3`` of one name are one object."""
        told = faults_of(ROUTE, ROUTE.replace("istio.io/v1", "istio.io/v1alpha3"))
        assert told == (
            "b.yaml:3: virtualservice.networking.istio.io/default/reviews is also at a.yaml:3; keep one of them"
        )

    def test_dash_n_that_contradicts_an_object_is_kubectls_error(self, faults_of: FaultsOf, read: Read) -> None:
        """The namespace of the context is a default; the one of ``-n`` is a demand."""
        text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop}}"
        assert read(text, default_namespace=Namespace("prod"))[0].id.namespace == "shop"
        assert read(text, default_namespace=Namespace("shop"), enforce_namespace=True)
        assert faults_of(text, default_namespace=Namespace("prod"), enforce_namespace=True) == (
            'a.yaml:1: the namespace from the provided object "shop" does not match the namespace "prod". '
            "You must pass '--namespace=shop' to perform this operation."
        )

    def test_nothing_to_apply_is_kubectls_error(self, faults_of: FaultsOf) -> None:
        """Empty files are more likely a mistake than a wish."""
        assert faults_of("# nothing\n---\n", "") == (
            "a.yaml and 1 more: no objects passed to apply; name files that hold manifests"
        )

    @pytest.mark.parametrize(
        ("raw", "told"),
        [
            (
                b"\x7fELF\x00\x01\xff",
                "a.yaml: this is binary data, neither YAML nor JSON; name the manifests instead",
            ),
            (b"a: b\nc: caf\xe9\n", "a.yaml:2: the byte 0xe9 is not UTF-8; save the file as UTF-8"),
            ("kind: Foo".encode("utf-16"), "a.yaml: this is UTF-16; save it as UTF-8"),
            (b"a: b\n\x1b[0m", "a.yaml:2: the control character U+001B may not stand in YAML; remove it"),
        ],
    )
    def test_what_is_no_text_is_said_so(self, raw: bytes, told: str, faults_of: FaultsOf) -> None:
        """Junk gets one sentence, never a traceback."""
        assert faults_of(raw) == told

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ('{"a": 1,\n"b"', "a.yaml:2: not JSON: Expecting ':' delimiter (column 4)"),
            ('{"a": 1}\n{"a": 1, "a": 2}', 'a.yaml:2: the key "a" is given twice in one object; keep one'),
            ('{"a": 1}\n{"b": NaN}', "a.yaml:2: NaN is not JSON"),
            ('{"a":' * 100_000, "a.yaml:1: nested more than 200 deep"),
            ('{"a": 1}\n{"b":' + "[" * 200 + "]" * 200 + "}", "a.yaml:2: nested more than 200 deep"),
        ],
    )
    def test_bad_json_is_told_as_json(self, text: str, told: str, faults_of: FaultsOf) -> None:
        """What begins like JSON is not blamed on YAML."""
        assert told in faults_of(text)

    @pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 100_000])
    @pytest.mark.parametrize("before", ["", "a: b\n---\n", "# é\n"])
    def test_nesting_is_bounded(self, before: str, text: str, faults_of: FaultsOf) -> None:
        """In our own words, whatever bound PyYAML has; its composer would take the interpreter down with it."""
        line = before.count("\n") + 1
        assert f"a.yaml:{line}: nested more than 200 deep" in faults_of(before + text)

    @given(depth=st.integers(150, 250), inner=st.sampled_from(["", "x", "}", "]]"]))
    def test_the_bound_of_nesting_is_the_same_in_yaml_and_in_json(self, depth: int, inner: str) -> None:
        """200 levels are read, 201 are not, whatever stands in the innermost."""
        for text in (
            "[" * depth + inner + "]" * depth,
            '{"a": 1}\n{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}",
        ):
            with pytest.raises(ManifestsError) as refused:
                read_manifests([SourceText("a.yaml", text)], default_namespace=Namespace("default"))
            assert ("nested more than 200 deep" in str(refused.value)) == (depth > 200)

    def test_expansion_is_bounded(self, faults_of: FaultsOf) -> None:
        """Ten levels of ten aliases would be ten milliard nodes."""
        rows = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
        rows += [f"{b}: &{b} [{','.join(['*' + a] * 10)}]" for a, b in zip("abcdefghi", "bcdefghij", strict=True)]
        assert "aliases repeat more than 200000 nodes" in faults_of("\n".join(rows))


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text(st.sampled_from("ab:-\n []{}&*!|>'\"%@#,?\t."), max_size=120))
def test_any_input_is_either_read_or_refused(raw: bytes | str) -> None:
    """Nothing that a file may hold makes reading fail in any other way."""
    try:
        read_manifests([SourceText("x", raw)], default_namespace=Namespace("default"))
    except ManifestsError as error:
        assert error.faults  # noqa: PT017 - either outcome is right
