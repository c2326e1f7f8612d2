"""What a Sidecar lets in, as documents: nobody may wait for a cluster on a proxy that never gets it."""

from __future__ import annotations

from textwrap import dedent

import pytest

from safeapply.istio.declarations import declare
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import Labels, ProxyClass, Role
from safeapply.istio.snapshot import snapshot_of
from safeapply.istio.view import View, view
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace

SHOP, DATA, ROOT = Namespace("shop"), Namespace("data"), Namespace("istio-system")
CLIENT = ProxyClass(Role.SIDECAR, SHOP)

SERVICES = """
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{name: http, port: 80}]}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec: {ports: [{name: http, port: 80}, {name: http-admin, port: 81}]}
---
{apiVersion: v1, kind: Service, metadata: {name: logs, namespace: data}, spec: {ports: [{name: http, port: 80}]}}
"""


def sidecar(*hosts: str, name: str = "scope", namespace: str = "shop", selector: str = "") -> str:
    """Return a Sidecar with these egress hosts."""
    chosen = f"workloadSelector: {{labels: {{{selector}}}}}, " if selector else ""
    return f"""
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{chosen}egress: [{{hosts: [{", ".join(f'"{host}"' for host in hosts)}]}}]}}
"""


def route(host: str, *routes: str, namespace: str = "shop", extra: str = "") -> str:
    """Return a VirtualService with one rule."""
    return f"""
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: routes, namespace: {namespace}}}
spec: {{hosts: [{host}], {extra}http: [{{route: [{", ".join(routes)}]}}]}}
"""


def to(host: str, *, weight: int = 100, port: int | None = None) -> str:
    """Return one entry of a route."""
    chosen = f", port: {{number: {port}}}" if port else ""
    return f"{{destination: {{host: {host}.svc.cluster.local{chosen}}}, weight: {weight}}}"


def seen(text: str, proxy_class: ProxyClass = CLIENT) -> View:
    """Return what a class gets of some YAML and the services above."""
    sources = (SourceText("services.yaml", SERVICES), SourceText("world.yaml", dedent(text)))
    resources = read_manifests(sources, default_namespace=SHOP)
    mesh = MeshSettings()
    declared = {one.id: (declare(one, created=one.created, mesh=mesh),) for one in resources}
    return view(snapshot_of(declared, mesh), proxy_class)


def clusters(text: str, proxy_class: ProxyClass = CLIENT) -> list[str]:
    """Return the short names of the clusters."""
    return sorted(
        name.removeprefix("outbound|").replace(".svc.cluster.local", "")
        for name in seen(text, proxy_class).clusters
    )


EVERYTHING = ["80||db.data", "80||logs.data", "80||web.shop", "81||db.data"]


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (["*/*"], EVERYTHING),
        (["./*"], ["80||web.shop"]),
        (["shop/*"], ["80||web.shop"]),
        (["data/db.data.svc.cluster.local"], ["80||db.data", "81||db.data"]),
        (["./*", "*/logs.data.svc.cluster.local"], ["80||logs.data", "80||web.shop"]),
        (["*/*.data.svc.cluster.local"], ["80||db.data", "80||logs.data", "81||db.data"]),
        (["~/*"], []),
        (["*/*", "~data/*"], ["80||web.shop"]),
        (["*/*", "~./*"], ["80||db.data", "80||logs.data", "81||db.data"]),
        (["*/*", "~/db.data.svc.cluster.local"], ["80||logs.data", "80||web.shop"]),
    ],
)
def test_a_sidecar_imports_what_its_egress_hosts_name(hosts: list[str], expected: list[str]) -> None:
    """ISTIO.md 9.1: namespace, slash, host pattern."""
    assert clusters(sidecar(*hosts)) == expected


def test_without_a_sidecar_everything_is_imported() -> None:
    """ISTIO.md 9: a scope is opt-in; another namespace's scope is not ours."""
    assert clusters("") == EVERYTHING
    assert clusters(sidecar("./*", namespace="data")) == EVERYTHING


def test_the_root_namespaces_sidecar_stands_in_where_there_is_none() -> None:
    """The mesh-wide default; ``.`` means the namespace of whoever asks."""
    mesh_wide = sidecar("./*", namespace="istio-system", name="default")
    assert clusters(mesh_wide) == ["80||web.shop"]
    assert clusters(mesh_wide + sidecar("data/*")) == ["80||db.data", "80||logs.data", "81||db.data"]


def test_a_sidecar_that_selects_comes_first() -> None:
    """A pod that some selector matches asks that Sidecar alone."""
    world = sidecar("./*") + sidecar("data/*", name="chosen", selector="app: batch")
    assert clusters(world) == ["80||web.shop"]
    assert clusters(world, ProxyClass(Role.SIDECAR, SHOP, Labels.of({"app": "batch"}))) == [
        "80||db.data",
        "80||logs.data",
        "81||db.data",
    ]


def test_gateways_know_no_scope() -> None:
    """Sidecar objects concern sidecars."""
    assert clusters(sidecar("~/*"), ProxyClass(Role.GATEWAY, SHOP)) == EVERYTHING


def test_a_route_imports_what_it_names() -> None:
    """ISTIO.md 9.1: destinations inferred from imported VirtualServices, on all their ports if none is given."""
    world = sidecar("./*") + route("web", to("db.data"))
    assert clusters(world) == ["80||db.data", "80||web.shop", "81||db.data"]
    assert not seen(world).dangling()


def test_a_route_with_a_port_imports_that_port() -> None:
    """ISTIO.md 9.1: trimmed to the ports the VirtualService uses."""
    assert clusters(sidecar("./*") + route("web", to("db.data", port=81))) == ["80||web.shop", "81||db.data"]


def test_a_route_of_weight_zero_imports_too() -> None:
    """ISTIO.md 9.3: Envoy gets no route to it, and the cluster stays: the bridge of scoped proxies."""
    world = sidecar("./*") + route("web", to("web.shop"), to("db.data", weight=0))
    assert clusters(world) == ["80||db.data", "80||web.shop", "81||db.data"]
    assert {reference.host for reference in seen(world).references} == {"web.shop.svc.cluster.local"}


def test_a_route_out_of_scope_imports_nothing_and_routes_nothing() -> None:
    """A VirtualService is imported by its own namespace and hosts."""
    world = sidecar("./*") + route("logs", to("db.data"), namespace="data")
    assert clusters(world) == ["80||web.shop"]
    assert not seen(world).references


def test_a_route_whose_only_host_is_left_out_is_left_out() -> None:
    """Istio 1.31: ``~namespace/host`` excludes hosts, of services and of VirtualServices alike."""
    world = route("web", to("db.data"))
    assert seen(sidecar("*/*", "~data/*") + world).references
    assert not seen(sidecar("*/*", "~./*") + world).references


def test_a_route_of_a_gateway_imports_nothing() -> None:
    """ISTIO.md 9.1: a sidecar's scope looks at VirtualServices for the mesh."""
    world = sidecar("./*") + route("web", to("db.data"), extra="gateways: [edge], ")
    assert clusters(world) == ["80||web.shop"]


def test_a_rule_for_other_namespaces_imports_nothing() -> None:
    """A proxy imports the destinations of HTTP rules that may be for its namespace."""
    world = sidecar("./*") + route("web", to("db.data"))
    for space, expected in (("shop", ["80||db.data", "80||web.shop", "81||db.data"]), ("data", ["80||web.shop"])):
        match = f"match: [{{sourceNamespace: {space}}}], route"
        assert clusters(world.replace("route:", f"{match}:")) == expected


def test_what_only_a_route_names_has_clusters_and_no_routes_of_its_own() -> None:
    """Istiod makes virtual hosts of the services that egress hosts name, and of no others."""
    named = route("db.data.svc.cluster.local", to("logs.data")).replace("name: routes", "name: more")
    world = (
        sidecar("./web.shop.svc.cluster.local", "shop/db.data.svc.cluster.local")
        + named
        + route("web", to("db.data"))
    )
    assert clusters(world) == EVERYTHING
    assert {one.domain for one in seen(world).references} <= {
        "web.shop.svc.cluster.local",
        "db.data.svc.cluster.local",
    }
    assert {one.port for one in seen(world).references if one.domain == "db.data.svc.cluster.local"} == {80}
