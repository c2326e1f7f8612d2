"""Istio's MeshConfig decides who sees what does not say so (ISTIO.md 3.5, 4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

import pytest

from safeapply.errors import MeshConfigError
from safeapply.istio.declarations import declare
from safeapply.istio.mesh_settings import MeshSettings, settings_of
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.replicas import configs_of
from safeapply.istio.snapshot import snapshot_of
from safeapply.istio.view import View, view
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace, Resource, ResourceId

ROOT = Namespace("istio-system")

WORLD = """
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{name: http, port: 80}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {hosts: [web.shop.svc.cluster.local], http: [{route: [{destination: {host: web, subset: v1}}]}]}
"""


def config(mesh: str, *, name: str = "istio") -> str:
    """Return a ConfigMap with a MeshConfig."""
    return f"""
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}, namespace: istio-system}}
data:
  mesh: |-
    {mesh}
"""


def objects(text: str) -> Mapping[ResourceId, Resource]:
    """Return the objects of some YAML."""
    return {one.id: one for one in read_manifests((SourceText("it.yaml", dedent(text)),), default_namespace=ROOT)}


def seen(text: str, namespace: str) -> View:
    """Return what sidecars of a namespace get of some YAML, the MeshConfig among it."""
    known = objects(text)
    mesh = settings_of(known, ROOT)
    declared = {one.id: (declare(one, created=one.created, mesh=mesh),) for one in known.values()}
    return view(snapshot_of(declared, mesh), ProxyClass(Role.SIDECAR, Namespace(namespace)))


def gets(text: str, namespace: str) -> tuple[list[str], list[str]]:
    """Return the clusters, and those that routes name."""
    found = seen(text, namespace)
    return sorted(found.clusters), sorted({one.cluster for one in found.references})


WHOLE, SUBSET = "outbound|80||web.shop.svc.cluster.local", "outbound|80|v1|web.shop.svc.cluster.local"
BOTH = [SUBSET, WHOLE]
ALL = (BOTH, [SUBSET])


@pytest.mark.parametrize(
    ("mesh", "elsewhere"),
    [
        ("{}", ALL),
        ("defaultVirtualServiceExportTo: ['*']", ALL),
        ("defaultVirtualServiceExportTo: ['.']", (BOTH, [])),
        ("defaultVirtualServiceExportTo: ['~']", (BOTH, [])),
        ("defaultVirtualServiceExportTo: [cart]", ALL),
        ("defaultDestinationRuleExportTo: ['.']", ([WHOLE], [SUBSET])),
        # Of a DestinationRule's default Istio honours "." and "*" alone (istio ``setDestinationRules``).
        ("defaultDestinationRuleExportTo: [blog]", ALL),
        ("defaultServiceExportTo: ['.']", ([], [])),
        ("defaultServiceExportTo: ['.', cart]", ALL),
    ],
)
def test_the_mesh_says_who_sees_what_does_not_say_so(mesh: str, elsewhere: tuple[list[str], list[str]]) -> None:
    """ISTIO.md 3.5, 4.7: three defaults, one for each kind."""
    found = gets(WORLD + config(mesh), "cart")
    assert found[0] == elsewhere[0]
    # A host that is not in the registry is called on port 80 all the same (ISTIO.md 2.5).
    assert elsewhere[0] == [] or found[1] == elsewhere[1]


def test_in_the_own_namespace_a_dot_changes_nothing() -> None:
    """Private is not hidden."""
    kinds = ("Service", "VirtualService", "DestinationRule")
    private = "\n    ".join(f"default{kind}ExportTo: ['.']" for kind in kinds)
    assert gets(WORLD + config(private), "shop") == ALL


def test_who_says_it_is_not_asked_twice() -> None:
    """The default is for what says nothing."""
    public = WORLD.replace("spec: {host: web,", "spec: {exportTo: ['*'], host: web,")
    assert gets(public + config("defaultDestinationRuleExportTo: ['.']"), "cart")[0] == BOTH


SECOND = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web-more, namespace: shop}
spec: {EXPORT host: web, subsets: [{name: v2, labels: {version: v2}}]}
"""


@pytest.mark.parametrize(("export", "joined"), [("", True), ("exportTo: ['.'],", False)])
def test_rules_are_merged_by_what_they_say_whatever_the_default(export: str, *, joined: bool) -> None:
    """Absent and ``.`` mean the same here, and are still not merged (ISTIO.md 3.3)."""
    both = WORLD + SECOND.replace("EXPORT", export) + config("defaultDestinationRuleExportTo: ['.']")
    subsets = {name.split("|")[2] for name in gets(both, "shop")[0]} - {""}
    assert (subsets == {"v1", "v2"}) is joined


def test_the_root_namespace_and_automatic_mtls_are_read_too() -> None:
    """What else of a MeshConfig decides who gets what."""
    mesh = config("rootNamespace: mesh-root\n    enableAutoMtls: false\n    accessLogFile: /dev/stdout")
    assert settings_of(objects(mesh), ROOT) == MeshSettings(Namespace("mesh-root"), auto_mtls=False)
    assert settings_of({}, ROOT) == MeshSettings()


LABELLED = """
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {mesh: inside, tier: web}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: cart}}
"""


@pytest.mark.parametrize(
    ("selectors", "read"),
    [
        ("[]", True),
        ("[{matchLabels: {mesh: inside}}]", True),
        ("[{matchLabels: {mesh: inside, tier: db}}]", False),
        (
            "[{matchLabels: {mesh: outside}}, {matchExpressions: [{key: tier, operator: In, values: [db, web]}]}]",
            True,
        ),
        ("[{matchExpressions: [{key: tier, operator: NotIn, values: [web]}]}]", False),
        ("[{matchExpressions: [{key: tier, operator: Exists}, {key: mesh, operator: DoesNotExist}]}]", False),
        ("[{}]", True),
    ],
)
def test_what_stands_in_a_namespace_that_istiod_does_not_read_is_not_there(selectors: str, *, read: bool) -> None:
    """ISTIO.md 3.5: any of the selectors chooses it, and within one every requirement counts."""
    assert gets(WORLD + LABELLED + config(f"discoverySelectors: {selectors}"), "cart") == (
        ALL if read else ([], [])
    )


def test_a_namespace_that_nobody_shows_is_read() -> None:
    """Files need not hold the Namespaces that they write into."""
    assert gets(WORLD + config("discoverySelectors: [{matchLabels: {mesh: inside}}]"), "cart") == ALL


@pytest.mark.parametrize(
    ("mesh", "sentence"),
    [
        (
            "defaultServiceExportTo: '.'",
            "Istio's MeshConfig cannot be used: it.yaml:3: data.mesh: Expected `array | null`, got `str`",
        ),
        ("a: [", "Istio's MeshConfig cannot be used: it.yaml:3: data.mesh:"),
        ("just words", "Istio's MeshConfig cannot be used: it.yaml:3: data.mesh: Expected `object`, got `str`"),
    ],
)
def test_a_mesh_config_that_cannot_be_read_is_an_error(mesh: str, sentence: str) -> None:
    """Istiod would keep to the one before, which nobody can see."""
    with pytest.raises(MeshConfigError) as raised:
        settings_of(objects(config(mesh)), ROOT)
    assert str(raised.value).startswith(sentence)


def test_mesh_configs_of_two_revisions_that_differ_are_an_error() -> None:
    """What is planned has to hold for the proxies of both."""
    canary = config("defaultServiceExportTo: ['.']", name="istio-canary")
    with pytest.raises(MeshConfigError, match=r"istio-canary.* differ in defaultServiceExportTo"):
        settings_of(objects(config("{}") + canary), ROOT)


POD = """
---
apiVersion: v1
kind: Pod
metadata: {{name: istiod-{0}, namespace: istio-system, labels: {{app: istiod, istio.io/rev: {0}}}}}
status: {{phase: Running}}
"""


@pytest.mark.parametrize(
    ("revisions", "names"),
    [([], ["istio"]), (["default"], ["istio"]), (["default", "canary"], ["istio-canary", "istio"])],
)
def test_each_revision_of_istiod_has_a_mesh_config_of_its_own(revisions: list[str], names: list[str]) -> None:
    """Istio ``getMeshConfigMapName``."""
    pods = objects(WORLD + "".join(map(POD.format, revisions))).values()
    assert [one.name for one in configs_of(pods, ROOT)] == names
