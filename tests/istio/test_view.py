"""What a class of proxies gets: routes, ports, gateways, delegates and who wins, as documents."""

from __future__ import annotations

from textwrap import dedent

import pytest

from safeapply.istio.declarations import declare
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import Labels, ProxyClass, Role
from safeapply.istio.snapshot import Snapshot, snapshot_of
from safeapply.istio.view import View, view
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace

DEFAULT, OTHER = Namespace("default"), Namespace("other")
SIDECAR = ProxyClass(Role.SIDECAR, DEFAULT)
INGRESS = ProxyClass(Role.GATEWAY, Namespace("istio-system"), Labels.of({"istio": "ingressgateway"}))

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: legacy}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: mysql}
spec: {ports: [{name: tcp-mysql, port: 3306}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.shop.example"]}]
"""


def snapshot(text: str) -> Snapshot:
    """Return the snapshot of some YAML and the services above."""
    sources = (SourceText("services.yaml", SERVICES), SourceText("world.yaml", dedent(text)))
    resources = read_manifests(sources, default_namespace=DEFAULT)
    mesh = MeshSettings()
    return snapshot_of({one.id: (declare(one, created=one.created, mesh=mesh),) for one in resources}, mesh)


def references(text: str, proxy_class: ProxyClass = SIDECAR) -> list[str]:
    """Return the short names of the clusters that routes name, mirrors in brackets."""
    got: View = view(snapshot(text), proxy_class)
    names = {(ref.cluster.replace(".default.svc.cluster.local", ""), ref.hard) for ref in got.references}
    return sorted(name if hard else f"[{name}]" for name, hard in names)


def http(spec: str, name: str = "reviews", metadata: str = "") -> str:
    """Return a VirtualService with these lines as its spec."""
    return f"""
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}{metadata}}}
spec:
  {spec}
"""


def test_a_service_has_one_cluster_a_port_and_one_a_subset() -> None:
    """ISTIO.md 1.1: the service port's number, and every subset on every port."""
    clusters = view(snapshot(""), SIDECAR).clusters
    assert sorted(name for name in clusters if "reviews" in name) == [
        "outbound|9080|v1|reviews.default.svc.cluster.local",
        "outbound|9080|v2|reviews.default.svc.cluster.local",
        "outbound|9080||reviews.default.svc.cluster.local",
    ]


def test_a_sidecar_takes_the_called_port_where_none_is_given() -> None:
    """ISTIO.md 1.2: even for a destination whose only port is another one, which is a trap."""
    assert references(http("{hosts: [reviews], http: [{route: [{destination: {host: legacy}}]}]}")) == [
        "outbound|9080||legacy"
    ]


def test_a_gateway_takes_the_only_port_of_the_destination() -> None:
    """ISTIO.md 1.2: the same VirtualService, another cluster."""
    route = "{hosts: [a.shop.example], gateways: [web], http: [{route: [{destination: {host: reviews}}]}]}"
    assert references(http(route), INGRESS) == ["outbound|9080||reviews"]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("{destination: {host: reviews, subset: v1}, weight: 0}", ["outbound|9080|v1|reviews"]),
        (
            (
                "{destination: {host: reviews, subset: v1}, weight: 100}, "
                "{destination: {host: reviews, subset: v2}, weight: 0}"
            ),
            ["outbound|9080|v1|reviews"],
        ),
        (
            (
                "{destination: {host: reviews, subset: v1}, weight: 50}, "
                "{destination: {host: reviews, subset: v2}, weight: 50}"
            ),
            ["outbound|9080|v1|reviews", "outbound|9080|v2|reviews"],
        ),
    ],
)
def test_weights(entries: str, expected: list[str]) -> None:
    """ISTIO.md 1.3: a lone destination counts whatever its weight; weight 0 among several does not."""
    assert references(http(f"{{hosts: [reviews], http: [{{route: [{entries}]}}]}}")) == expected


def test_mirrors_are_soft() -> None:
    """ISTIO.md 1.3: the caller never notices a missing mirror; one of 0 % does not exist."""
    spec = """{hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v1}}],
      mirrors: [{destination: {host: reviews, subset: v2}},
                {destination: {host: legacy}, percentage: {value: 0}}]}]}"""
    assert references(http(spec)) == ["[outbound|9080|v2|reviews]", "outbound|9080|v1|reviews"]


def test_a_short_name_with_a_dot_is_taken_to_the_letter() -> None:
    """ISTIO.md 2.1: ``reviews.default`` is not expanded."""
    assert references(http("{hosts: [reviews], http: [{route: [{destination: {host: reviews.default}}]}]}")) == [
        "outbound|9080||reviews.default"
    ]


def test_a_host_outside_the_registry_is_served_on_port_80_only() -> None:
    """ISTIO.md 2.5."""
    assert references(http("{hosts: [nowhere.example], http: [{route: [{destination: {host: legacy}}]}]}")) == [
        "outbound|80||legacy"
    ]


def test_a_host_outside_the_registry_goes_with_the_hosts_beside_it() -> None:
    """Istiod installs all hosts of a VirtualService on each port that one of them has, and on port 80."""
    text = http("{hosts: [reviews, nowhere.example], http: [{route: [{destination: {host: reviews}}]}]}")
    found = view(snapshot(text), SIDECAR).references
    assert {one.port for one in found if one.domain == "nowhere.example"} == {80, 9080}
    assert {one.port for one in found if one.domain != "nowhere.example"} == {9080}


def test_the_nearest_host_wins_on_a_sidecar_however_young() -> None:
    """ISTIO.md 2.4: a name before wildcards, a longer wildcard before a shorter one; age counts among equals."""
    wide, long, name = (
        http(
            f"{{hosts: ['{host}'], http: [{{route: [{{destination: {{host: reviews, subset: {subset}}}}}]}}]}}", own
        )
        for host, subset, own in (
            ("*.cluster.local", "v1", "a"),
            ("*.default.svc.cluster.local", "v2", "b"),
            ("reviews", "v3", "c"),
        )
    )

    def aims(text: str) -> set[str]:
        found = view(snapshot(text), SIDECAR).references
        return {one.subset for one in found if one.domain == "reviews.default.svc.cluster.local"}

    assert [aims(wide), aims(wide + long), aims(wide + long + name)] == [{"v1"}, {"v2"}, {"v3"}]


def test_a_wildcard_has_one_owner() -> None:
    """Of equal wildcards the oldest, even where none of its rules is for this proxy: the default route stays."""
    aim = "route: [{destination: {host: reviews, subset: v1}}]"
    own = http(f"{{hosts: ['*.local'], http: [{{match: [{{sourceNamespace: other}}], {aim}}}]}}", "a")
    younger = http(f"{{hosts: ['*.local'], http: [{{{aim}}}]}}", "b")
    assert references(younger) == ["outbound|80|v1|reviews", "outbound|9080|v1|reviews"]
    assert references(own + younger) == []


def test_a_host_outside_the_registry_is_nowhere_without_a_listener_on_port_80() -> None:
    """ISTIO.md 2.5: istiod makes one for services that have the port, and a route alone brings none."""
    resources = read_manifests((SourceText("bare.yaml", BARE),), default_namespace=DEFAULT)
    mesh = MeshSettings()
    declared = {one.id: (declare(one, created="", mesh=mesh),) for one in resources}
    assert view(snapshot_of(declared, mesh), SIDECAR).references == frozenset()


BARE = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{name: http, port: 9080}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: nowhere}
spec: {hosts: [nowhere.example], http: [{route: [{destination: {host: reviews}}]}]}
"""


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("", ["outbound|9080|v1|reviews"]),
        ("match: [{uri: {prefix: /}}], ", ["outbound|9080|v1|reviews"]),
        ("match: [{uri: {regex: '.*'}}], ", ["outbound|9080|v1|reviews"]),
        ("match: [{uri: {prefix: /}, sourceLabels: {app: web}}], ", ["outbound|9080|v2|reviews"]),
        ("match: [{uri: {prefix: /a}}], ", ["outbound|9080|v1|reviews", "outbound|9080|v2|reviews"]),
        (
            "match: [{uri: {prefix: /}, method: {exact: GET}}], ",
            ["outbound|9080|v1|reviews", "outbound|9080|v2|reviews"],
        ),
    ],
)
def test_nothing_follows_a_rule_that_lets_every_request_through(first: str, expected: list[str]) -> None:
    """Istiod sends no route behind it, so what that would name is no reference (istio ``IsCatchAllRoute``)."""
    to = "route: [{{destination: {{host: reviews, subset: {}}}}}]"
    rules = f"{{{first}{to.format('v1')}}}, {{{to.format('v2')}}}"
    assert references(http(f"{{hosts: [reviews], http: [{rules}]}}")) == expected


def test_the_oldest_of_two_routes_wins_on_a_sidecar() -> None:
    """ISTIO.md 4.2: sidecars do not merge."""
    older = http("{hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v1}}]}]}", "a")
    newer = http("{hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v2}}]}]}", "b")
    assert references(older + newer) == ["outbound|9080|v1|reviews"]


def test_a_private_route_beats_an_older_public_one() -> None:
    """ISTIO.md 4.2: private first, then age."""
    older = http("{hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v1}}]}]}", "a")
    private = http(
        "{hosts: [reviews], exportTo: ['.'], http: [{route: [{destination: {host: reviews, subset: v2}}]}]}", "b"
    )
    assert references(older + private) == ["outbound|9080|v2|reviews"]
    assert references(older + private, ProxyClass(Role.SIDECAR, OTHER)) == ["outbound|9080|v1|reviews"]


def test_a_route_that_names_its_own_namespace_too_is_private_there() -> None:
    """ISTIO.md 4.2: who else sees it makes no difference at home; elsewhere it goes before what is public."""
    shared = http(
        f"{{hosts: [reviews], exportTo: ['.', {OTHER}], "
        "http: [{route: [{destination: {host: reviews, subset: v1}}]}]}",
        "b",
    )
    private, public, named = (
        http(
            f"{{hosts: [reviews], {scope}http: [{{route: [{{destination: {{host: reviews, subset: v2}}}}]}}]}}",
            name,
        )
        for scope, name in (("exportTo: ['.'], ", "c"), ("", "a"), (f"exportTo: [{OTHER}], ", "a"))
    )
    there = ProxyClass(Role.SIDECAR, OTHER)
    assert references(shared + private) == ["outbound|9080|v1|reviews"]
    assert references(public + shared, there) == ["outbound|9080|v1|reviews"]
    assert references(named + shared, there) == ["outbound|9080|v2|reviews"]


def test_gateways_merge_all_routes_of_a_host() -> None:
    """ISTIO.md 4.1."""
    spec = (
        "{hosts: [a.shop.example], gateways: [web], http: [{route: [{destination: {host: reviews, subset: %s}}]}]}"
    )
    assert references(http(spec % "v1", "a") + http(spec % "v2", "b"), INGRESS) == [
        "outbound|9080|v1|reviews",
        "outbound|9080|v2|reviews",
    ]


@pytest.mark.parametrize(
    ("hosts", "gateways", "expected"),
    [
        ("[a.shop.example]", "[web]", ["outbound|9080|v1|reviews"]),
        ("['*']", "[default/web]", ["outbound|9080|v1|reviews"]),
        ("[a.shop.example]", "[./web]", ["outbound|9080|v1|reviews"]),
        ("[elsewhere.example]", "[web]", []),
        ("[shop.example]", "[web]", []),
        ("[a.shop.example]", "[other/web]", []),
        ("[a.shop.example]", "[mesh]", []),
    ],
)
def test_a_gateway_serves_the_hosts_it_has_in_common_with_the_route(
    hosts: str, gateways: str, expected: list[str]
) -> None:
    """ISTIO.md 2.3, 2.4: bound by name, and by the intersection of hosts."""
    rule = "{route: [{destination: {host: reviews, subset: v1}}]}"
    spec = f"{{hosts: {hosts}, gateways: {gateways}, http: [{rule}]}}"
    assert references(http(spec), INGRESS) == expected


def test_gateway_labels_decide_which_pods_serve_it() -> None:
    """A gateway proxy whose labels the selector does not match has no routes of it."""
    spec = "{hosts: [a.shop.example], gateways: [web], http: [{route: [{destination: {host: reviews}}]}]}"
    stranger = ProxyClass(Role.GATEWAY, Namespace("istio-system"), Labels.of({"istio": "eastwest"}))
    assert references(http(spec), stranger) == []


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("{sourceLabels: {app: web}}", ["outbound|9080|v2|reviews"]),
        ("{sourceLabels: {app: other}}", []),
        ("{sourceNamespace: default}", ["outbound|9080|v2|reviews"]),
        ("{sourceNamespace: elsewhere}", []),
        ("{port: 9080}", ["outbound|9080|v2|reviews"]),
        ("{port: 80}", []),
        ("{gateways: [mesh]}", ["outbound|9080|v2|reviews"]),
        ("{gateways: [web], sourceLabels: {app: web}}", []),
        ("{gateways: [mesh], sourceLabels: {app: other}}", ["outbound|9080|v2|reviews"]),
        ("{uri: {prefix: /}}", ["outbound|9080|v2|reviews"]),
    ],
)
def test_some_matches_decide_which_proxies_get_a_rule(match: str, expected: list[str]) -> None:
    """ISTIO.md 4.4, 4.5: gateways in a match replace the source conditions."""
    target = "route: [{destination: {host: reviews, subset: v2}}]"
    spec = f"{{hosts: [reviews], http: [{{match: [{match}], {target}}}]}}"
    assert references(http(spec), ProxyClass(Role.SIDECAR, DEFAULT, Labels.of({"app": "web"}))) == expected


def test_a_delegate_speaks_in_its_own_namespace() -> None:
    """ISTIO.md 2.2, 4.6: destinations are resolved where the delegate lives."""
    root = http("{hosts: [reviews], http: [{delegate: {name: leaf, namespace: other}}]}")
    leaf = http("{http: [{route: [{destination: {host: inner}}]}]}", "leaf", ", namespace: other")
    assert references(root + leaf) == ["outbound|9080||inner.other.svc.cluster.local"]


def test_a_delegate_that_is_not_exported_to_its_root_is_dropped() -> None:
    """ISTIO.md 4.6."""
    root = http("{hosts: [reviews], http: [{delegate: {name: leaf, namespace: other}}]}")
    leaf = http("{exportTo: ['.'], http: [{route: [{destination: {host: inner}}]}]}", "leaf", ", namespace: other")
    assert references(root + leaf) == []


def test_tcp_routes_take_the_only_port_of_the_destination() -> None:
    """ISTIO.md 1.2: for TCP the full service is looked up."""
    assert references(http("{hosts: [mysql], tcp: [{route: [{destination: {host: legacy}}]}]}", "mysql")) == [
        "outbound|80||legacy"
    ]


def test_http_rules_say_nothing_on_tcp_ports() -> None:
    """A port named tcp-... carries no virtual hosts."""
    assert references(http("{hosts: [mysql], http: [{route: [{destination: {host: mysql}}]}]}", "mysql")) == []


def test_a_service_entry_declares_hosts() -> None:
    """ISTIO.md 2.6: its hosts are in the registry, with its ports."""
    entry = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank}
spec: {hosts: [bank.example], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}
"""
    assert "outbound|443||bank.example" in view(snapshot(entry), SIDECAR).clusters


def test_a_service_that_is_not_exported_has_no_clusters_elsewhere() -> None:
    """ISTIO.md 5 no. 16."""
    hidden = """
---
apiVersion: v1
kind: Service
metadata: {name: hidden, annotations: {networking.istio.io/exportTo: "."}}
spec: {ports: [{name: http, port: 80}]}
"""
    own, stranger = (view(snapshot(hidden), ProxyClass(Role.SIDECAR, ns)).clusters for ns in (DEFAULT, OTHER))
    assert "outbound|80||hidden.default.svc.cluster.local" in own - stranger


def test_a_port_that_is_given_is_taken() -> None:
    """ISTIO.md 1.2: whatever port was called."""
    route = http("{hosts: [reviews], http: [{route: [{destination: {host: legacy, port: {number: 80}}}]}]}")
    assert references(route) == ["outbound|80||legacy"]


def test_a_delegate_with_hosts_is_none() -> None:
    """ISTIO.md 4.6: it is a route of its own, and the rule that hands over to it is dropped."""
    root = http("{hosts: [reviews], http: [{delegate: {name: team}}]}")
    team = http("{hosts: [legacy], http: [{route: [{destination: {host: reviews}}]}]}", name="team")
    assert references(root + team) == ["outbound|80||reviews"]


ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: entry, namespace: {namespace}}}
spec: {{hosts: [reviews.default.svc.cluster.local], ports: [{{number: 7000, name: http, protocol: HTTP}}]}}
"""


def ports_of_reviews(text: str, namespace: Namespace) -> list[str]:
    """Return the ports that reviews has for sidecars of a namespace."""
    clusters = view(snapshot(text), ProxyClass(Role.SIDECAR, namespace)).clusters
    return sorted({name.split("|")[1] for name in clusters if name.endswith("|reviews.default.svc.cluster.local")})


def test_a_service_wins_over_an_entry_of_its_name() -> None:
    """ISTIO.md 2.6: of two that declare one host, the Kubernetes Service."""
    assert ports_of_reviews(ENTRY.format(namespace="third"), OTHER) == ["9080"]


def test_the_clients_own_namespace_wins_a_host() -> None:
    """ISTIO.md 2.6: even over a Service elsewhere."""
    assert ports_of_reviews(ENTRY.format(namespace="other"), OTHER) == ["7000"]
    assert ports_of_reviews(ENTRY.format(namespace="other"), DEFAULT) == ["9080"]


def clusters_of(text: str, host: str, namespace: Namespace = DEFAULT) -> list[str]:
    """Return port and subset of each cluster that a host has for sidecars of a namespace."""
    clusters = view(snapshot(text), ProxyClass(Role.SIDECAR, namespace)).clusters
    return sorted("|".join(name.split("|")[1:3]) for name in clusters if name.endswith(f"|{host}"))


def test_a_short_name_and_the_whole_one_are_one_host() -> None:
    """ISTIO.md 16 no. 9: names are resolved before rules are merged."""
    whole = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: whole}
spec: {host: reviews.default.svc.cluster.local, subsets: [{name: v3, labels: {version: v3}}]}
"""
    assert clusters_of(whole, "reviews.default.svc.cluster.local") == ["9080|", "9080|v1", "9080|v2", "9080|v3"]


def test_a_udp_port_has_no_cluster() -> None:
    """ISTIO.md 1.1: nor has any subset one there."""
    mixed = """
---
apiVersion: v1
kind: Service
metadata: {name: dns}
spec: {ports: [{name: dns, port: 53, protocol: UDP}, {name: http, port: 80}]}
"""
    assert clusters_of(mixed, "dns.default.svc.cluster.local") == ["80|"]


@pytest.mark.parametrize(
    ("export_to", "seen_by"),
    [("", [DEFAULT, OTHER]), ("*", [DEFAULT, OTHER]), (".", [DEFAULT]), ("other", [OTHER]), ("~", [])],
)
def test_a_route_is_for_whom_it_is_exported_to(export_to: str, seen_by: list[Namespace]) -> None:
    """ISTIO.md 4.7: to everybody, its own namespace, those it names, or nobody."""
    said = f"exportTo: ['{export_to}'], " if export_to else ""
    route = http(f"{{hosts: [reviews], {said}http: [{{route: [{{destination: {{host: reviews, subset: v1}}}}]}}]}}")
    moved = "outbound|9080|v1|reviews"
    assert [ns for ns in (DEFAULT, OTHER) if moved in references(route, ProxyClass(Role.SIDECAR, ns))] == seen_by


ALIAS = """
apiVersion: v1
kind: Service
metadata: {{name: stable}}
spec: {{type: ExternalName, externalName: {}, ports: [{{name: http, port: 9080}}]}}
"""
REVIEWS = "reviews.default.svc.cluster.local"


def test_an_alias_has_no_clusters() -> None:
    """ISTIO.md 1.2: a Service of type ExternalName is another name of a host, and nothing behind it."""
    assert not [name for name in view(snapshot(ALIAS.format(REVIEWS)), SIDECAR).clusters if "stable" in name]


def test_a_route_to_an_alias_names_the_cluster_of_its_target() -> None:
    """ISTIO.md 1.2: with the subset of the destination, on sidecars and on gateways."""
    to_alias = "http: [{route: [{destination: {host: stable, subset: v1}}]}]"
    called = ALIAS.format(REVIEWS) + http(f"{{hosts: [reviews], {to_alias}}}")
    assert references(called) == ["outbound|9080|v1|reviews"]
    served = ALIAS.format(REVIEWS) + http(f"{{hosts: [a.shop.example], gateways: [web], {to_alias}}}")
    assert references(served, INGRESS) == ["outbound|9080|v1|reviews"]
    assert not view(snapshot(called), SIDECAR).dangling()


def test_a_sidecar_knows_an_alias_by_the_ports_that_it_has() -> None:
    """ISTIO.md 1.2: on another port the alias is not found, and the name is taken to the letter."""
    route = "{hosts: [legacy], http: [{route: [{destination: {host: stable, port: {number: 9080}}}]}]}"
    assert references(ALIAS.format(REVIEWS) + http(route)) == ["outbound|9080||stable"]


def test_an_alias_of_an_alias_leads_nowhere() -> None:
    """ISTIO.md 1.2: istiod follows one name (``GetDestinationCluster``), and the other has no cluster."""
    chain = (
        ALIAS.format("other.default.svc.cluster.local") + "---" + ALIAS.format(REVIEWS).replace("stable", "other")
    )
    got = view(
        snapshot(chain + http("{hosts: [reviews], http: [{route: [{destination: {host: stable}}]}]}")), SIDECAR
    )
    assert [one.cluster for one in got.dangling()] == ["outbound|9080||other.default.svc.cluster.local"]


@pytest.mark.parametrize(
    ("root", "leaf", "kept"),
    [
        ("{uri: {prefix: /a}}", "{uri: {prefix: /a/b}}", True),
        ("{uri: {prefix: /a/b}}", "{uri: {prefix: /a}}", False),
        ("{uri: {prefix: /a}}", "{uri: {exact: /a/b}}", True),
        ("{uri: {exact: /a}}", "{uri: {exact: /a}}", True),
        ("{uri: {exact: /a}}", "{uri: {exact: /b}}", False),
        ("{uri: {exact: /a}}", "{uri: {prefix: /a}}", False),
        ("{uri: {prefix: /a}}", "{uri: {regex: /a.*}}", False),
        ("{uri: {regex: /a.*}}", "{uri: {regex: /a.*}}", False),
        ("{uri: {prefix: /a}}", "{headers: {x: {exact: y}}}", True),
        ("{headers: {x: {exact: y}}}", "{headers: {x: {exact: z}}}", False),
        ("{headers: {x: {exact: y}}}", "{headers: {w: {exact: z}}}", True),
        ("{queryParams: {x: {exact: y}}}", "{queryParams: {x: {exact: z}}}", False),
        ("{withoutHeaders: {x: {}}}", "{withoutHeaders: {x: {}}}", False),
        ("{method: {exact: GET}}", "{method: {exact: PUT}}", False),
        ("{uri: {prefix: /a}, ignoreUriCase: true}", "{uri: {prefix: /a}}", False),
        ("{port: 9080}", "{port: 80}", False),
        ("{sourceNamespace: default}", "{uri: {prefix: /a}}", False),
        ("{sourceNamespace: default}", "{sourceNamespace: default}", True),
        ("{sourceLabels: {app: web}}", "{sourceLabels: {app: cart}}", False),
        ("{gateways: [mesh]}", "{gateways: [mesh, default/web]}", False),
        ("{uri: {prefix: /b}}, {uri: {prefix: /a}}", "{uri: {prefix: /a/b}}", True),
        ("{uri: {prefix: /a}}", "{uri: {prefix: /a}}, {uri: {prefix: /b}}", False),
    ],
)
def test_a_rule_of_a_delegate_that_wants_more_than_its_root_hands_over_is_dropped(
    root: str, leaf: str, *, kept: bool
) -> None:
    """ISTIO.md 4.6: each of its matches has to fit in one of the root's (istio ``hasConflict``)."""
    target = "route: [{destination: {host: reviews, subset: v1}}]"
    handing = http(f"{{hosts: [reviews], http: [{{match: [{root}], delegate: {{name: leaf}}}}]}}")
    world = handing + http(f"{{http: [{{match: [{leaf}], {target}}}]}}", "leaf")
    web = ProxyClass(Role.SIDECAR, DEFAULT, Labels.of({"app": "web"}))
    assert references(world, web) == (["outbound|9080|v1|reviews"] if kept else [])
