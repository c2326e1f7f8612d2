"""Services, endpoints, TCP and TLS, and what a Sidecar leaves: YAML in, names out."""

from __future__ import annotations

from tests.sandbox.controlplane.printing import clusters, configured, endpoints, listeners, routes


def pod(name: str, address: str, labels: str, *, ready: bool = True, namespace: str = "default") -> str:
    """Return the YAML of a pod."""
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}
spec: {{containers: [{{name: app, ports: [{{name: web, containerPort: 8080}}]}}]}}
status: {{podIP: {address}, conditions: [{{type: Ready, status: "{ready}"}}]}}
---
"""


SHOP = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {clusterIP: 10.96.0.9, selector: {app: shop}, ports: [{name: http, port: 80, targetPort: web}]}
---
"""


def test_endpoints_are_the_ready_pods_of_the_selector() -> None:
    """With the pod's own number for a named port; pods that are not ready or elsewhere are left out."""
    text = (
        SHOP
        + pod("a", "10.1.0.1", "{app: shop}")
        + pod("b", "10.1.0.2", "{app: shop}", ready=False)
        + pod("c", "10.1.0.3", "{app: other}")
        + pod("d", "10.1.0.4", "{app: shop}", namespace="elsewhere")
    )
    assert endpoints(configured(text), "outbound|80||shop.default.svc.cluster.local") == [
        "../../b/10.1.0.1_8080.sock"
    ]


def test_ports_speak_what_they_are_called() -> None:
    """``appProtocol`` before the first word of the name; UDP has no cluster; the unsaid is taken for HTTP."""
    text = """
apiVersion: v1
kind: Service
metadata: {name: many}
spec:
  clusterIP: 10.96.0.9
  ports:
  - {name: http-a, port: 1}
  - {name: grpc, port: 2}
  - {name: tcp-b, port: 3}
  - {name: https, port: 4}
  - {name: dns, port: 5, protocol: UDP}
  - {name: tcp, port: 6, appProtocol: http}
  - {name: strange, port: 7}
  - {name: mongo-x, port: 8}
"""
    found = configured(text)
    assert listeners(found) == [
        "0.0.0.0_1: RDS 1",
        "0.0.0.0_2: RDS 2",
        "0.0.0.0_6: RDS 6",
        "0.0.0.0_7: RDS 7",
        "10.96.0.9_3: 3||many.default",
        "10.96.0.9_4: 4||many.default",
        "10.96.0.9_8: 8||many.default",
    ]
    assert not any(name.startswith("5|") for name in clusters(found))
    assert "typed_extension_protocol_options" in found.clusters["outbound|2||many.default.svc.cluster.local"]


def test_the_newest_parts_of_istios_clusters_are_there() -> None:
    """Clusters warm for ever, and name the rule and the subset that they come from (ISTIO.md 0.5, 1.1)."""
    rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop
  trafficPolicy: {connectionPool: {tcp: {connectTimeout: 1m30s}}}
  subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}]
"""
    cluster = configured(SHOP + rule).clusters["outbound|80|v1|shop.default.svc.cluster.local"]
    assert cluster["eds_cluster_config"]["eds_config"]["initial_fetch_timeout"] == "0s"
    assert cluster["connect_timeout"] == "90s"
    assert cluster["lb_policy"] == "ROUND_ROBIN"
    assert cluster["metadata"]["filter_metadata"]["istio"] == {
        "config": "/apis/networking.istio.io/v1/namespaces/default/destination-rule/shop",
        "subset": "v1",
    }


ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec:
  hosts: [api.example.com]
  location: MESH_EXTERNAL
  resolution: %s
  ports: [{number: 443, name: tls, protocol: TLS}, {number: 80, name: http, protocol: HTTP}]
  %s
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: outside}
spec: {host: api.example.com, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
"""


def test_static_entries_have_a_cluster_for_every_subset() -> None:
    """One without endpoints is a cluster without hosts (ISTIO.md 17, 13)."""
    some = "endpoints: [{address: 10.5.0.1, labels: {version: v1}, ports: {http: 8080}}]"
    found = configured(ENTRY % ("STATIC", some))
    assert [name for name in clusters(found) if name.startswith("80")] == [
        "80|v1|api.example.com 1",
        "80|v2|api.example.com 0",
        "80||api.example.com 1",
    ]
    assert endpoints(found, "outbound|80|v1|api.example.com") == ["../../b/10.5.0.1_8080.sock"]
    assert endpoints(found, "outbound|443|v1|api.example.com") == ["../../b/10.5.0.1_443.sock"]


def test_dns_entries_have_none_for_a_subset_without_endpoints() -> None:
    """There is no cluster at all, so a route to it is NC and not UH (ISTIO.md 3.6)."""
    some = "endpoints: [{address: one.example.com, labels: {version: v1}}]"
    found = configured(ENTRY % ("DNS", some))
    assert [name for name in clusters(found) if name.startswith("80")] == [
        "80|v1|api.example.com",
        "80||api.example.com",
    ]
    alone = configured(ENTRY % ("DNS", "exportTo: ['*']"))
    assert [name for name in clusters(alone) if name.startswith("80")] == ["80||api.example.com"]


def test_a_host_of_several_namespaces_is_the_clients_own() -> None:
    """Else a Kubernetes Service's, else the oldest (ISTIO.md 2.6)."""
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shadow, namespace: %s}
spec:
  hosts: [shop.default.svc.cluster.local]
  resolution: STATIC
  ports: [{number: 8%s, name: http, protocol: HTTP}]
---
"""
    text = entry % ("one", "1") + entry % ("two", "2") + SHOP
    assert clusters(configured(text, namespace="two")) == ["82||shop.default 0"]
    assert clusters(configured(text, namespace="three")) == ["80||shop.default 0"]
    without = entry % ("one", "1") + entry % ("two", "2")
    assert clusters(configured(without, namespace="three")) == ["81||shop.default 0"]


def test_services_are_seen_where_they_are_exported() -> None:
    """By ``exportTo``, or the Service's annotation."""
    hidden = SHOP.replace("name: shop}", 'name: shop, annotations: {networking.istio.io/exportTo: "."}}')
    assert clusters(configured(hidden)) == ["80||shop.default 0"]
    assert clusters(configured(hidden, namespace="shop")) == []


DATABASE = """
apiVersion: v1
kind: Service
metadata: {name: mongo}
spec: {clusterIP: 10.96.0.7, ports: [{name: mongo, port: 27017}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: mongo}
spec:
  hosts: [mongo]
  tcp:
  - match: [{sourceLabels: {app: old}}]
    route: [{destination: {host: mongo, subset: v1}}]
  - route:
    - {destination: {host: mongo, subset: v1}, weight: 80}
    - {destination: {host: mongo, subset: v2}, weight: 20}
    - {destination: {host: mongo, subset: v3}, weight: 0}
---
"""


def test_tcp_routes_stand_in_the_listener() -> None:
    """On the service's address; the first route that applies to the proxy is the whole chain (ISTIO.md 1.4)."""
    assert listeners(configured(DATABASE)) == [
        "10.96.0.7_27017: 80 27017|v1|mongo.default + 20 27017|v2|mongo.default"
    ]
    assert listeners(configured(DATABASE, labels={"app": "old"})) == ["10.96.0.7_27017: 27017|v1|mongo.default"]


VAULTS = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: vaults}
spec:
  hosts: [a.vault.io, b.vault.io]
  resolution: DNS
  ports: [{number: 8200, name: tls, protocol: TLS}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: vaults}
spec:
  hosts: [a.vault.io]
  tls:
  - match: [{port: 8200, sniHosts: [a.vault.io]}]
    route: [{destination: {host: b.vault.io}}]
---
"""


def test_tls_is_routed_by_server_name() -> None:
    """Services without an address share the listener of their port, each with its names."""
    assert listeners(configured(VAULTS)) == [
        "0.0.0.0_8200 [a.vault.io]: 8200||b.vault.io",
        "0.0.0.0_8200 [b.vault.io]: 8200||b.vault.io",
    ]


def test_gateways_pass_tls_through_and_forward_tcp() -> None:
    """Both stand in the listener; a port without a route has none."""
    text = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g}
spec:
  servers:
  - {port: {number: 443, name: tls, protocol: TLS}, hosts: ["*.vault.io"], tls: {mode: PASSTHROUGH}}
  - {port: {number: 27017, name: tcp, protocol: TCP}, hosts: ["*"]}
  - {port: {number: 3306, name: sql, protocol: MYSQL}, hosts: ["nobody"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: in}
spec:
  hosts: [a.vault.io]
  gateways: [g]
  tls: [{match: [{port: 443, sniHosts: [a.vault.io]}], route: [{destination: {host: a.vault.io}}]}]
  tcp: [{match: [{port: 27017}], route: [{destination: {host: mongo, subset: v1}}]}]
---
"""
    assert listeners(configured(DATABASE + VAULTS + text, role="router")) == [
        "0.0.0.0_27017: 27017|v1|mongo.default",
        "0.0.0.0_443 [a.vault.io]: 8200||a.vault.io",
    ]


SIDECAR = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: scope}
spec: {egress: [{hosts: %s}]}
---
"""
ROUTED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec: {hosts: [shop], http: [{route: [{destination: {host: mongo, port: {number: 27017}}}]}]}
---
"""


def test_a_sidecar_leaves_the_hosts_that_it_names() -> None:
    """And, of others, the ports that the routes of these lead to (ISTIO.md 9.1)."""
    everything = SHOP + DATABASE
    assert clusters(configured(everything + SIDECAR % '["./shop.default.svc.cluster.local"]')) == [
        "80||shop.default 0"
    ]
    inferred = configured(everything + ROUTED + SIDECAR % '["*/shop.default.svc.cluster.local"]')
    assert clusters(inferred) == ["27017||mongo.default 0", "80||shop.default 0"]
    assert routes(inferred, "80") == ["shop.default:80: /* -> 27017||mongo.default"]
    assert clusters(configured(everything + SIDECAR % '["other/*"]')) == []
    assert len(clusters(configured(everything + SIDECAR % '["other/*"]', role="router"))) == 2


def test_what_only_a_route_leads_to_has_clusters_and_cannot_be_called() -> None:
    """Istiod makes listeners and virtual hosts of the services that egress hosts name (istio ``Services()``)."""
    logs = SHOP.replace("name: shop", "name: logs")
    routed = ROUTED.replace("host: mongo, port: {number: 27017}", "host: logs")
    found = configured(SHOP + logs + routed + SIDECAR % '["*/shop.default.svc.cluster.local"]')
    assert clusters(found) == ["80||logs.default 0", "80||shop.default 0"]
    assert routes(found, "80") == ["shop.default:80: /* -> 80||logs.default"]


def test_the_roots_sidecar_speaks_for_whoever_asks() -> None:
    """Its ``.`` is the namespace of the proxy, and a Sidecar of that namespace takes its place."""
    root = SIDECAR.replace("name: scope", "name: mesh, namespace: istio-system") % '["./*"]'
    assert clusters(configured(SHOP + root)) == ["80||shop.default 0"]
    assert clusters(configured(SHOP + root, namespace="other")) == []
    own = SIDECAR.replace("name: scope", "name: own, namespace: other") % '["*/*"]'
    assert clusters(configured(SHOP + root + own, namespace="other")) == ["80||shop.default 0"]


def test_a_sidecar_for_some_pods_comes_first() -> None:
    """Pods with its labels ask it alone, however young it is."""
    chosen = SIDECAR.replace("name: scope", "name: young").replace(
        "spec: {", "spec: {workloadSelector: {labels: {a: b}}, "
    )
    both = SHOP + DATABASE + SIDECAR % '["*/*"]' + chosen % '["other/*"]'
    assert clusters(configured(both, labels={"a": "b"})) == []
    assert len(clusters(configured(both, labels={"a": "c"}))) == 2


def test_a_sidecar_can_leave_hosts_out() -> None:
    """``~namespace/host``, since Istio 1.31; ``~/*`` leaves nothing."""
    for hosts, expected in (
        ('["*/*", "~./mongo.default.svc.cluster.local"]', ["80||shop.default 0"]),
        ('["*/*", "~other/*"]', ["27017||mongo.default 0", "80||shop.default 0"]),
        ('["~/*"]', []),
    ):
        assert clusters(configured(SHOP + DATABASE + SIDECAR % hosts)) == expected, hosts
    routed = ROUTED + SIDECAR % '["*/*", "~/shop.default.svc.cluster.local"]'
    assert configured(SHOP + DATABASE + routed).routes == {}


def test_routes_for_other_source_namespaces_import_nothing() -> None:
    """Nor do routes of gateways (istio ``virtualServiceDestinationsFilteredBySourceNamespace``)."""
    scoped = SHOP + DATABASE + SIDECAR % '["*/shop.default.svc.cluster.local"]'
    for change in (
        ("http: [{", "http: [{match: [{sourceNamespace: other}], "),
        ("hosts: [shop]", "hosts: [shop], gateways: [edge]"),
    ):
        assert clusters(configured(scoped + ROUTED.replace(*change))) == ["80||shop.default 0"]


def test_of_several_services_for_a_host_a_sidecar_takes_one_that_it_names() -> None:
    """The choice is among what egress hosts import: a ServiceEntry elsewhere may stand in (ISTIO.md 2.6)."""
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop, namespace: other}
spec:
  hosts: [shop.default.svc.cluster.local]
  resolution: STATIC
  ports: [{number: 81, name: http, protocol: HTTP}]
---
"""
    assert clusters(configured(SHOP + entry + SIDECAR % '["*/*"]')) == ["80||shop.default 0"]
    assert clusters(configured(SHOP + entry + SIDECAR % '["other/*"]')) == ["81||shop.default 0"]


def test_an_odd_looking_host_is_nobodys() -> None:
    """A destination with a dot is taken as it stands, and has no cluster (ISTIO.md 2.1)."""
    odd = ROUTED.replace("host: mongo, port: {number: 27017}", "host: mongo.default")
    assert routes(configured(SHOP + DATABASE + odd), "80") == ["shop.default:80: /* -> 80||mongo.default"]
    named = configured(SHOP + odd).routes["80"]["virtual_hosts"][0]["routes"][0]["route"]["cluster"]
    assert named == "outbound|80||mongo.default"
