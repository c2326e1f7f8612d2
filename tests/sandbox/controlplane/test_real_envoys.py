"""What real Envoys make of the control plane: names, references, warming, refusals, and what requests see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from safeapply.errors import SandboxError
from safeapply.resources.objects import Document
from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.watching import WatchType
from tests.sandbox.controlplane.lab import (
    REVIEWS,
    Lab,
    Load,
    clusters,
    dump,
    get,
    laboratory,
    pod,
    read,
    route,
    routes,
    rule,
    until,
)

WHOLE = "outbound|9080||reviews.default.svc.cluster.local"
V1 = "outbound|9080|v1|reviews.default.svc.cluster.local"
V2 = "outbound|9080|v2|reviews.default.svc.cluster.local"


async def test_names_and_references_are_istios(lab: Lab) -> None:
    """A config dump has Istio's clusters, route configuration, virtual hosts, listener and metadata."""
    await lab.run_reviews("v1")
    lab.write(*read(REVIEWS), rule("v1"), route("v1"))
    (envoy,) = await lab.start("client")
    await lab.settle()
    assert await clusters(envoy) == {WHOLE, V1}
    found = await routes(envoy)
    assert found["validate_clusters"] is False
    host, catch_all = found["virtual_hosts"]
    assert host["name"] == "reviews.default.svc.cluster.local:9080"
    assert {"reviews", "reviews.default", "reviews.default.svc"} < set(host["domains"])
    assert host["routes"][0]["route"]["cluster"] == V1
    origin = "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews"
    assert host["routes"][0]["metadata"]["filter_metadata"]["istio"]["config"] == origin
    assert catch_all["routes"][0]["route"]["cluster"] == "PassthroughCluster"
    listeners = await dump(envoy, "resource=dynamic_listeners&mask=name")
    assert [each["name"] for each in listeners["configs"]] == ["0.0.0.0_9080"]


async def test_resources_have_no_version_and_the_dump_has_one(lab: Lab) -> None:
    """As under istiod's delta stream, only the top level of the dump tells a version (ISTIO.md 7.2)."""
    lab.write(*read(REVIEWS))
    (envoy,) = await lab.start("client")
    await lab.settle()
    whole = (await dump(envoy, "mask=version_info"))["configs"]
    assert any(each.get("version_info", "").endswith("Z/2") for each in whole)
    single = await dump(envoy, "resource=dynamic_active_clusters")
    assert all("version_info" not in each for each in single["configs"])


async def test_a_static_listener_has_an_inline_route(lab: Lab) -> None:
    """Like a pod of Istio's, an Envoy has routes that no RDS name leads to."""
    (envoy,) = await lab.start("client")
    static = await dump(envoy, "resource=static_route_configs")
    assert "prometheus_stats" in json.dumps(static)
    status, _ = await get(lab.socket(envoy, 15090), path="/stats/prometheus")
    assert status == 200


async def test_requests_are_served_and_failures_say_why(lab: Lab) -> None:
    """A request reaches the subset that its route names; one that an Envoy answers itself carries the flag."""
    await lab.run_reviews("v1", "v2")
    lab.write(*read(REVIEWS), rule("v1", "v2"), route("v2"))
    (envoy,) = await lab.start("client")
    status, headers = await get(lab.socket(envoy))
    assert (status, headers["x-pod"]) == (200, "reviews-v2")
    lab.write(route("gone"))
    await lab.settle()
    status, headers = await get(lab.socket(envoy))
    assert (status, headers["x-envoy-response-flags"]) == (503, "NC")
    status, headers = await get(lab.socket(envoy), host="unknown.example.com")
    assert (status, headers["x-envoy-response-flags"]) == (503, "UH")


async def test_a_subset_without_pods_is_a_cluster_without_hosts(lab: Lab) -> None:
    """Pods are found by the subset's labels; where there are none, Envoy says UH and not NC (ISTIO.md 3.6)."""
    await lab.run_reviews("v1")
    lab.write(*read(REVIEWS), rule("v1", "v9"), route("v9"))
    (envoy,) = await lab.start("client")
    status, headers = await get(lab.socket(envoy))
    assert (status, headers["x-envoy-response-flags"]) == (503, "UH")


async def test_gateways_serve_their_servers_hosts(lab: Lab) -> None:
    """A gateway routes by the VirtualServices bound to a Gateway that selects it, and knows no other host."""
    await lab.run_reviews("v1")
    gateway = """
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: public}
    spec:
      selector: {istio: ingressgateway}
      servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["shop.example.com"]}]
    """
    bound = route("v1", hosts=["shop.example.com"], gateways=["public"])
    bound["spec"]["http"][0]["route"][0]["destination"]["port"] = {"number": 9080}
    lab.write(*read(REVIEWS), *read(gateway), rule("v1"), bound)
    (envoy,) = await lab.start("edge", role="router", istio="ingressgateway")
    status, headers = await get(lab.socket(envoy, 80), host="shop.example.com")
    assert (status, headers["x-pod"]) == (200, "reviews-v1")
    status, headers = await get(lab.socket(envoy, 80), host="other.example.com")
    assert (status, headers["x-envoy-response-flags"]) == (404, "NR")
    assert (await routes(envoy, "http.80"))["virtual_hosts"][0]["name"] == "shop.example.com:80"


async def test_writes_in_kubectls_order_lose_requests(lab: Lab) -> None:
    """A subset renamed in place is gone for as long as the push of the route takes longer (ENVOY.md 2)."""
    await lab.run_reviews("v1", "v2")
    lab.write(*read(REVIEWS), rule("v1"), route("v1"))
    envoys = await lab.start("one", "two")
    await lab.settle()
    lab.plane.set_delays(Delays(lag=Span(0, 0.3), push=Span(0, 0.3)))
    async with Load(map(lab.socket, envoys), rate=200) as load:
        await until(lambda: len(load.outcomes) >= 20, "no request was answered")
        lab.write(rule("v2"), route("v2"))
        await lab.settle()
    assert "NC" in load.failed


async def test_make_before_break_loses_none(lab: Lab) -> None:
    """The same rename loses no request when each write waits for all Envoys to have the one before."""
    await lab.run_reviews("v1", "v2")
    lab.write(*read(REVIEWS), rule("v1"), route("v1"))
    envoys = await lab.start("one", "two")
    await lab.settle()
    lab.plane.set_delays(Delays(lag=Span(0, 0.3), push=Span(0, 0.3)))
    async with Load(map(lab.socket, envoys), rate=200) as load:
        await until(lambda: len(load.outcomes) >= 20, "no request was answered")
        for document in (rule("v1", "v2"), route("v2"), rule("v2")):
            lab.write(document)
            await lab.settle()
    assert load.failed == []
    assert {V2, WHOLE} == await clusters(envoys[0])


async def test_a_cluster_whose_endpoints_are_withheld_warms(lab: Lab) -> None:
    """A route to a warming cluster fails like one to none, and the CDS ACK waits for the endpoints (ENVOY.md 2)."""
    await lab.run_reviews("v1", "v2")
    lab.write(*read(REVIEWS), rule("v1"), route("v1"))
    (envoy,) = await lab.start("client")
    lab.plane.withhold_eds([V2])
    lab.write(rule("v1", "v2"))
    await until(lambda: _warms(lab), "the cluster does not warm")
    assert V2 not in await clusters(envoy)
    assert await clusters(envoy, "warming") == {V2}
    lab.plane.release_eds()
    await lab.settle()
    assert await clusters(envoy) == {WHOLE, V1, V2}


async def _warms(lab: Lab) -> bool:
    (envoy,) = lab.envoys.running
    return V2 in await clusters(envoy, "warming")


async def test_an_updated_cluster_gets_its_endpoints_again(lab: Lab) -> None:
    """A changed cluster warms until its endpoints are sent once more; Envoy does not ask for them (ENVOY.md 2)."""
    await lab.run_reviews("v1")
    lab.write(*read(REVIEWS), rule("v1"), route("v1"))
    (envoy,) = await lab.start("client")
    lab.write(rule("v1", trafficPolicy={"connectionPool": {"tcp": {"connectTimeout": "3s"}}}))
    await lab.settle()
    found = await dump(envoy, "resource=dynamic_active_clusters&mask=cluster.name,cluster.connect_timeout")
    assert [each["cluster"]["connect_timeout"] for each in found["configs"] if each["cluster"]["name"] == V1] == [
        "3s"
    ]
    assert await clusters(envoy, "warming") == set()


async def test_a_refusal_is_kept_with_envoys_words(lab: Lab) -> None:
    """A NACK leaves the old routes in place; mended, the proxy gets what it missed."""
    await lab.run_reviews("v1", "v2")
    lab.write(*read(REVIEWS), rule("v1", "v2"), route("v1"))
    (envoy,) = await lab.start("client")
    await lab.settle()
    lab.plane.corrupt("client.default", "RDS")
    lab.write(route("v2"))
    await until(lambda: lab.plane.nacks, "nothing was refused")
    (nack,) = lab.plane.nacks
    assert (nack.proxy, nack.type) == ("client.default", "RDS")
    assert "wildcard domain" in nack.text
    assert (await get(lab.socket(envoy)))[1]["x-pod"] == "reviews-v1"
    lab.plane.mend("client.default", "RDS")
    await lab.settle()
    assert (await get(lab.socket(envoy)))[1]["x-pod"] == "reviews-v2"


async def test_a_mesh_that_refuses_something_has_not_settled(lab: Lab) -> None:
    """Waiting ends at once, with Envoy's words, for no time heals a refusal."""
    lab.write(*read(REVIEWS), route("v1"))
    await lab.start("client")
    bad = route("v1")
    bad["spec"]["http"][0]["match"] = [{"uri": {"regex": "("}}]
    lab.write(bad)
    with pytest.raises(SandboxError, match=r"client\.default refused RDS: .*missing \)"):
        await lab.settle()
    lab.write(route("v1"))
    await lab.settle()


async def test_an_object_without_sense_is_as_if_absent(lab: Lab) -> None:
    """The control plane goes on, and says what it ignores; mended, the object counts."""
    await lab.run_reviews("v1")
    senseless = rule("v1")
    senseless["spec"]["subsets"] = [{"labels": {"version": "v1"}}]
    lab.write(*read(REVIEWS), senseless)
    (envoy,) = await lab.start("client")
    await lab.settle()
    assert list(lab.plane.ignored.values()) == ["KeyError: 'name'"]
    assert await clusters(envoy) == {WHOLE}
    lab.write(rule("v1"))
    await lab.settle()
    assert not lab.plane.ignored
    assert await clusters(envoy) == {WHOLE, V1}


async def test_tcp_routes_change_inside_the_listener(lab: Lab) -> None:
    """New connections go where the new filter chain leads, on the same socket."""
    await lab.run_reviews("v1", "v2")
    tcp = read(REVIEWS.replace("name: http", "name: tcp").replace("selector", "clusterIP: 10.96.0.5, selector"))

    def bytes_to(subset: str) -> Document:
        weighted = [{"destination": {"host": "reviews", "subset": subset}}]
        return route(subset, tcp=[{"route": weighted}], http=[])

    lab.write(*tcp, rule("v1", "v2"), bytes_to("v1"))
    (envoy,) = await lab.start("client")
    for subset in ("v1", "v2", "v1"):
        lab.write(bytes_to(subset))
        await lab.settle()
        _, headers = await get(lab.socket(envoy, 9080, "10.96.0.5"))
        assert headers["x-pod"] == f"reviews-{subset}"


async def test_every_type_can_be_refused(lab: Lab) -> None:
    """Clusters, endpoints and listeners can be spoilt too."""
    await lab.run_reviews("v1")
    lab.write(*read(REVIEWS), rule("v1"), route("v1"))
    await lab.start("client")
    await lab.settle()
    for kind in ("CDS", "EDS", "LDS"):
        lab.plane.corrupt("client.default", kind)
    lab.write(*read(REVIEWS.replace("name: reviews}", "name: extra}").replace("9080}", "9081}")))
    lab.write(pod("reviews-more", "10.1.0.9", {"app": "reviews", "version": "v1"}))
    await until(lambda: {"CDS", "EDS", "LDS"} <= {each.type for each in lab.plane.nacks}, "a type was accepted")


async def test_a_dropped_proxy_keeps_what_it_has_and_catches_up(lab: Lab) -> None:
    """Without its stream an Envoy goes on as it was; let in again, it learns what has changed and what is gone."""
    await lab.run_reviews("v1", "v2")
    lab.write(*read(REVIEWS), rule("v1"), route("v1"))
    (envoy,) = await lab.start("client")
    await lab.settle()
    lab.plane.drop("client.default")
    await until(lambda: not lab.plane.proxies, "the stream did not end")
    lab.write(rule("v2"), route("v2"))
    await lab.settle()
    assert (await get(lab.socket(envoy)))[1]["x-pod"] == "reviews-v1"
    lab.plane.readmit("client.default")
    await until(lambda: lab.plane.proxies, "the Envoy did not come back", seconds=60)
    await lab.settle()
    assert await clusters(envoy) == {WHOLE, V2}
    assert (await get(lab.socket(envoy)))[1]["x-pod"] == "reviews-v2"


async def test_removed_objects_are_gone_from_the_envoys(lab: Lab) -> None:
    """Deleting the rules leaves the service with its default route; deleting the service leaves nothing."""
    await lab.run_reviews("v1")
    service = read(REVIEWS)
    lab.write(*service, rule("v1"), route("v1"))
    (envoy,) = await lab.start("client")
    lab.write(route("v1"), rule("v1"), type=WatchType.DELETED)
    await lab.settle()
    assert await clusters(envoy) == {WHOLE}
    assert (await get(lab.socket(envoy)))[0] == 200
    lab.write(*service, type=WatchType.DELETED)
    await lab.settle()
    assert await clusters(envoy) == set()
    listeners = await dump(envoy, "resource=dynamic_listeners&mask=name,active_state.last_updated")
    assert not any("active_state" in each for each in listeners.get("configs", ()))


async def test_a_push_that_changes_nothing_sends_nothing(lab: Lab) -> None:
    """A write that a proxy cannot notice is delivered in an empty push, and counts for no propagation."""
    lab.write(*read(REVIEWS))
    await lab.start("client")
    await lab.settle()
    versions = lab.write(rule("v1", namespace="elsewhere", exportTo=["."]))
    await lab.settle()
    assert lab.plane.deliveries()[-1].types == ()
    assert lab.plane.propagation(versions) == 0


async def test_what_was_sent_follows_what_was_drawn(run: Path) -> None:
    """Pushes are sent when they are due, late by the machine's slowness only, and never before."""
    delays = Delays(lag=Span(0, 0.1), push=Span(0, 0.2))
    async with laboratory(run, seed=7) as lab:
        lab.write(*read(REVIEWS))
        await lab.start("one", "two", "three")
        await lab.settle()
        lab.plane.set_delays(delays)
        before = len(lab.plane.deliveries())
        versions = lab.write(rule("v1"))
        await lab.settle()
        pushes = lab.plane.deliveries()[before:]
        assert {each.proxy for each in pushes} == {"one.default", "two.default", "three.default"}
        assert all(0 <= each.sent - each.due < 1 for each in pushes)
        assert 0.1 <= lab.plane.propagation(versions) <= 0.4 + 1e-6
