"""HTTP routes of sidecars and gateways: YAML in, routes out."""

from __future__ import annotations

import pytest

from tests.sandbox.controlplane.printing import clusters, configured, listeners, routes

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings}
spec: {ports: [{name: http, port: 9080}, {name: grpc-admin, port: 9090}]}
---
apiVersion: v1
kind: Service
metadata: {name: legacy}
spec: {ports: [{name: http, port: 80}]}
---
"""


def service(name: str, spec: str, namespace: str = "default") -> str:
    """Return the YAML of a VirtualService."""
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec:
{spec}
---
"""


def reviews(http: str, name: str = "reviews", more: str = "") -> str:
    """Return the YAML of a VirtualService for reviews with these HTTP routes."""
    return service(name, f"  hosts: [reviews]\n{more}  http:\n{http}")


V1 = "  - route: [{destination: {host: reviews, subset: v1}}]\n"
V2 = "  - route: [{destination: {host: reviews, subset: v2}}]\n"


def told(text: str, **client: str) -> list[str]:
    """Return a sidecar's routes for reviews on 9080."""
    lines = routes(configured(SERVICES + text, **client))  # type: ignore[arg-type]  # a test's shorthand
    return [line.removeprefix("reviews.default:9080: ") for line in lines if line.startswith("reviews")]


def test_a_service_has_a_default_route() -> None:
    """Without a VirtualService, every host on a port leads to its whole service."""
    found = configured(SERVICES)
    assert routes(found) == [
        "ratings.default:9080: /* -> 9080||ratings.default",
        "reviews.default:9080: /* -> 9080||reviews.default",
    ]
    assert listeners(found) == ["0.0.0.0_80: RDS 80", "0.0.0.0_9080: RDS 9080", "0.0.0.0_9090: RDS 9090"]
    assert clusters(found)[-1] == "9090||ratings.default 0"


def test_a_virtual_service_routes_its_host() -> None:
    """Its routes take the place of the default one, and name the subset."""
    assert told(reviews(V1)) == ["/* -> 9080|v1|reviews.default"]


def test_every_kind_of_match_reaches_envoy() -> None:
    """Each match of a rule is a route of its own, in order."""
    http = """
  - match:
    - uri: {prefix: /a}
      headers: {user: {exact: x}, agent: {regex: "a.*"}, any: {}}
    - uri: {exact: /b}
      method: {exact: POST}
      queryParams: {q: {exact: "1"}}
    - uri: {regex: "/c[0-9]+"}
      withoutHeaders: {user: {prefix: x}}
    route: [{destination: {host: reviews, subset: v1}}]
"""
    assert told(reviews(http + V2)) == [
        "/a* user=x agent~a.* any -> 9080|v1|reviews.default",
        "/b :method=POST ?q=1 -> 9080|v1|reviews.default",
        "~/c[0-9]+ not user=x* -> 9080|v1|reviews.default",
        "/* -> 9080|v2|reviews.default",
    ]


def test_nothing_follows_a_catch_all() -> None:
    """Routes behind one that lets everything through are not sent."""
    assert told(reviews(V1 + V2)) == ["/* -> 9080|v1|reviews.default"]


def test_weights_of_zero_are_dropped_among_several() -> None:
    """A single destination has all traffic whatever its weight (ISTIO.md 1.3)."""

    def spread(*weights: int) -> list[str]:
        listed = ", ".join(
            f"{{destination: {{host: reviews, subset: v{number}}}, weight: {weight}}}"
            for number, weight in enumerate(weights, 1)
        )
        return told(reviews(f"  - route: [{listed}]"))

    assert spread(100, 0) == ["/* -> 9080|v1|reviews.default"]
    assert spread(50, 50, 0) == ["/* -> 50 9080|v1|reviews.default + 50 9080|v2|reviews.default"]
    assert spread(0) == ["/* -> 9080|v1|reviews.default"]


def test_an_unsaid_port_is_the_listeners_on_sidecars_and_the_only_one_on_gateways() -> None:
    """So one VirtualService names two clusters, one of which does not exist (ISTIO.md 1.2)."""
    gateway = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public}
spec: {servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
"""
    text = gateway + reviews("  - route: [{destination: {host: legacy}}]", more="  gateways: [mesh, public]\n")
    assert told(text) == ["/* -> 9080||legacy.default"]
    edge = configured(SERVICES + text, role="router")
    assert routes(edge, "http.8080") == ["reviews.default:8080: /* -> 80||legacy.default"]


def test_mirrors_are_references_too() -> None:
    """An unset percentage is everything, and 0 is nothing."""
    http = """
  - route: [{destination: {host: reviews, subset: v1}}]
    mirror: {host: reviews, subset: v2}
    mirrors: [{destination: {host: reviews, subset: v3}, percentage: {value: 0}}]
"""
    assert told(reviews(http)) == ["/* -> 9080|v1|reviews.default (mirror 9080|v2|reviews.default)"]


def test_redirects_and_direct_responses_name_no_cluster() -> None:
    """They are answered by Envoy itself."""
    http = """
  - match: [{uri: {prefix: /old}}]
    redirect: {uri: /new}
  - directResponse: {status: 418}
"""
    assert told(reviews(http)) == ["/old* -> redirect", "/* -> 418"]


def test_the_oldest_virtual_service_wins_on_sidecars() -> None:
    """A younger one for the same host is without effect until the older goes (ISTIO.md 4.2)."""
    assert told(reviews(V1, "a") + reviews(V2, "b")) == ["/* -> 9080|v1|reviews.default"]


def test_a_private_younger_virtual_service_wins_over_a_public_one() -> None:
    """Those of the client's namespace alone come first (ISTIO.md 4.2)."""
    private = reviews(V2, "b", more='  exportTo: ["."]\n')
    assert told(reviews(V1, "a") + private) == ["/* -> 9080|v2|reviews.default"]
    assert told(reviews(V1, "a") + private, namespace="shop") == ["/* -> 9080|v1|reviews.default"]


def test_a_virtual_service_without_a_route_for_this_proxy_is_as_if_absent() -> None:
    """The default route to the whole service returns: this is not a 404 (ISTIO.md 4.4)."""
    for match in ("sourceLabels: {app: web}", "gateways: [default/public]", "port: 1", "sourceNamespace: shop"):
        text = reviews(f"  - match: [{{{match}}}]\n    route: [{{destination: {{host: reviews, subset: v1}}}}]\n")
        assert told(text) == ["/* -> 9080||reviews.default"], match


def test_matches_on_the_source_are_decided_per_proxy() -> None:
    """Only pods with the labels, or in the namespace, get the route."""
    http = """
  - match: [{sourceLabels: {app: web}}]
    route: [{destination: {host: reviews, subset: v2}}]
"""
    found = configured(SERVICES + reviews(http + V1), labels={"app": "web", "other": "x"})
    assert "reviews.default:9080: /* -> 9080|v2|reviews.default" in routes(found)
    assert told(reviews(http + V1)) == ["/* -> 9080|v1|reviews.default"]


def test_hosts_outside_the_registry_are_routed_on_port_80_only() -> None:
    """On any other port such a VirtualService is without effect (ISTIO.md 2.5)."""
    found = configured(SERVICES + service("out", "  hosts: [example.com]\n  http:\n" + V1))
    assert "example.com:80: /* -> 80|v1|reviews.default" in routes(found, "80")
    assert not any("example.com" in line for line in routes(found))


def test_hosts_outside_the_registry_go_with_those_beside_them() -> None:
    """All hosts of a VirtualService are installed on each port that one of them has."""
    lines = routes(configured(SERVICES + service("both", "  hosts: [reviews, example.com]\n  http:\n" + V1)))
    assert "example.com:9080: /* -> 9080|v1|reviews.default" in lines


def test_a_wildcard_has_one_owner() -> None:
    """Of equal wildcards the oldest, even where it has no route for this proxy."""
    aim = "    route: [{destination: {host: reviews, subset: v2}}]\n"
    own = service("a", '  hosts: ["*.local"]\n  http:\n  - match: [{sourceNamespace: other}]\n' + aim)
    younger = service("b", '  hosts: ["*.local"]\n  http:\n' + V2)
    assert told(younger) == ["/* -> 9080|v2|reviews.default"]
    assert told(own + younger) == ["/* -> 9080||reviews.default"]


def test_a_wildcard_host_speaks_for_services_that_have_nobody_nearer() -> None:
    """The most specific host has the service (ISTIO.md 2.4)."""
    wild = service("wild", '  hosts: ["*.default.svc.cluster.local"]\n  http:\n' + V2)
    assert routes(configured(SERVICES + wild + reviews(V1))) == [
        "ratings.default:9080: /* -> 9080|v2|reviews.default",
        "reviews.default:9080: /* -> 9080|v1|reviews.default",
    ]


def test_domains_are_the_names_that_clients_may_use() -> None:
    """Short names only in the service's own namespace."""
    near, far = (configured(SERVICES, namespace=each).routes["9080"] for each in ("default", "shop"))
    domains = {"reviews.default.svc.cluster.local", "reviews.default.svc", "reviews.default"}
    assert domains | {"reviews"} < set(near["virtual_hosts"][1]["domains"])
    assert domains < set(far["virtual_hosts"][1]["domains"])
    assert "reviews" not in far["virtual_hosts"][1]["domains"]


ROOT = """
  - match: [{uri: {prefix: /api}}]
    delegate: {name: leaf, namespace: team}
"""


def leaf(match: str, more: str = "") -> str:
    """Return the YAML of a delegate."""
    return service(
        "leaf",
        f"{more}  http:\n  - match: [{match}]\n    route: [{{destination: {{host: reviews, subset: v9}}}}]",
        "team",
    )


def test_delegates_are_put_in_place() -> None:
    """Their matches are narrowed by the root's, and their hosts are those of their own namespace (ISTIO.md 2.2)."""
    text = reviews(ROOT + V1) + leaf("{uri: {prefix: /api/v9}}")
    assert told(text) == ["/api/v9* -> 9080|v9|reviews.team", "/* -> 9080|v1|reviews.default"]


@pytest.mark.parametrize(("own", "told_to_envoy"), [("", "5s"), ("    timeout: 1s\n", "1s")])
def test_a_delegate_has_of_its_root_what_it_does_not_say_itself(own: str, told_to_envoy: str) -> None:
    """Its own timeout goes before the root's (istio ``mergeHTTPRoute``)."""
    delegate = leaf("{uri: {prefix: /api}}").replace("    route:", f"{own}    route:")
    text = reviews(ROOT + "    timeout: 5s\n") + delegate
    hosts = configured(SERVICES + text).routes["9080"]["virtual_hosts"]
    timeouts = {route["route"].get("timeout") for host in hosts for route in host["routes"] if "metadata" in route}
    assert told_to_envoy in timeouts


def test_a_delegate_that_does_not_fit_drops_its_route_only() -> None:
    """Missing, not exported to the root, or reaching beyond it: requests fall to a later route (ISTIO.md 4.6)."""
    rest = ["/* -> 9080|v1|reviews.default"]
    assert told(reviews(ROOT + V1)) == rest
    assert told(reviews(ROOT + V1) + leaf("{uri: {prefix: /other}}")) == rest
    assert told(reviews(ROOT + V1) + leaf("{uri: {prefix: /api}}", '  exportTo: ["."]\n')) == rest


PUBLIC = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: edge}
spec:
  selector: {istio: ingress}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["default/*.example.com", "other.com"]}
  - port: {number: 443, name: web, protocol: HTTPS}
    hosts: ["*.example.com"]
    tls: {mode: SIMPLE, credentialName: c}
---
"""
GATEWAYS = "  gateways: [edge/public]\n"


def at_the_edge(text: str) -> list[str]:
    """Return a gateway's routes on port 80."""
    return routes(
        configured(SERVICES + PUBLIC + text, namespace="edge", labels={"istio": "ingress"}, role="router"),
        "http.80",
    )


def test_gateways_merge_virtual_services_of_one_host() -> None:
    """Both contribute their routes, and catch-alls go last whoever is older (ISTIO.md 4.1)."""
    narrow = "  - match: [{uri: {prefix: /new}}]\n    route: [{destination: {host: reviews, subset: v2}}]\n"
    older = service("a", "  hosts: [a.example.com]\n" + GATEWAYS + "  http:\n" + V1)
    younger = service("b", "  hosts: [a.example.com]\n" + GATEWAYS + "  http:\n" + narrow)
    assert at_the_edge(older + younger) == [
        "a.example.com:80: /new* -> 9080|v2|reviews.default",
        "a.example.com:80: /* -> 9080|v1|reviews.default",
    ]


def test_hosts_of_gateway_and_virtual_service_must_overlap() -> None:
    """The narrower of both is served, for VirtualServices of the namespaces that the server admits."""
    wide = service("a", '  hosts: ["*.com"]\n' + GATEWAYS + "  http:\n" + V1)
    foreign = service("b", "  hosts: [b.example.com]\n" + GATEWAYS + "  http:\n" + V1, "shop")
    assert at_the_edge(wide + foreign) == [
        "*.example.com:80: /* -> 9080|v1|reviews.default",
        "other.com:80: /* -> 9080|v1|reviews.default",
    ]


def test_a_gateway_without_virtual_services_knows_nobody() -> None:
    """It listens, and answers 404."""
    assert at_the_edge("") == ["blackhole:80: nothing* -> nothing"]
    assert configured(PUBLIC, labels={"istio": "other"}, role="router").listeners == {}


def test_terminated_tls_has_istios_route_names() -> None:
    """The name of the routes holds the Gateway's and the port's (ISTIO.md 1.4)."""
    found = configured(PUBLIC, labels={"istio": "ingress"}, role="router")
    assert listeners(found) == [
        "0.0.0.0_443 [*.example.com]: RDS https.443.web.public.edge",
        "0.0.0.0_80: RDS http.80",
    ]


ALIAS = """
apiVersion: v1
kind: Service
metadata: {name: stable}
spec:
  type: ExternalName
  externalName: reviews.default.svc.cluster.local
  ports: [{name: http, port: 9080}]
---
"""


def test_an_alias_is_a_name_of_its_target() -> None:
    """ExternalName (ISTIO.md 1.2): no cluster of its own, and a destination that names it means the target."""
    text = ALIAS + service("ratings", "  hosts: [ratings]\n  http: [{route: [{destination: {host: stable}}]}]")
    found = configured(SERVICES + text)
    assert routes(found)[0] == "ratings.default:9080: /* -> 9080||reviews.default"
    assert not [name for name in clusters(found) if "stable" in name]
