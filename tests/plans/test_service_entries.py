"""A ServiceEntry that DNS resolves has a cluster for a subset only while some endpoint is in it (ISTIO.md 3.6)."""

from __future__ import annotations

from tests.plans.worlds import make_plan, planned

RULE = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: bank}
spec:
  host: bank.example
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - {name: near, labels: {topology.istio.io/network: here}}
"""


def entry(*versions: str, resolution: str = "DNS") -> str:
    """Return a ServiceEntry with an endpoint of each version."""
    listed = ", ".join(f"{{address: {one}.bank.example, labels: {{version: {one}}}}}" for one in versions)
    return f"""
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: bank}}
spec:
  hosts: [bank.example]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: {resolution}
  endpoints: [{listed}]
"""


def route(subset: str) -> str:
    """Return a VirtualService that sends everything to a subset."""
    return f"""
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: bank}}
spec:
  hosts: [bank.example]
  http: [{{route: [{{destination: {{host: bank.example, subset: {subset}}}}}]}}]
"""


def test_an_endpoint_goes_after_the_route_to_its_subset() -> None:
    """Its cluster goes with the last endpoint that is in it."""
    assert planned(entry("v1", "v2") + RULE + route("v2"), entry("v1") + RULE + route("v1")) == (
        "1 switch\n"
        "    when outbound|80|v1|bank.example active on sidecars in default\n"
        "    apply VirtualService default/bank\n"
        "2 narrow\n"
        "    when outbound|80|v2|bank.example unreferenced everywhere\n"
        "    soak 1 s\n"
        "    apply ServiceEntry default/bank"
    )


def test_an_endpoint_comes_before_the_route_to_its_subset() -> None:
    """The rule has always named the subset; the cluster comes with the endpoint."""
    assert planned(entry("v1") + RULE + route("v1"), entry("v1", "v2") + RULE + route("v2")) == (
        "1 widen\n"
        "    apply ServiceEntry default/bank\n"
        "2 switch\n"
        "    when outbound|80|v2|bank.example active on sidecars in default\n"
        "    apply VirtualService default/bank"
    )


def test_endpoints_that_are_exchanged_are_both_there_in_between() -> None:
    """An entry that gains and loses is joined."""
    assert planned(entry("v1") + RULE + route("v1"), entry("v2") + RULE + route("v2")) == (
        "1 widen\n"
        "    apply ServiceEntry default/bank bridge\n"
        "2 switch\n"
        "    when outbound|80|v2|bank.example active on sidecars in default\n"
        "    apply VirtualService default/bank\n"
        "3 narrow\n"
        "    when outbound|80|v1|bank.example unreferenced everywhere\n"
        "    soak 1 s\n"
        "    apply ServiceEntry default/bank"
    )


def test_the_last_endpoint_of_a_subset_that_a_route_keeps_naming_does_not_go() -> None:
    """Requests to it would be answered by 503."""
    plan = planned(entry("v1", "v2") + RULE + route("v2"), entry("v1") + RULE + route("v2"))
    assert plan.startswith("refused in-use: virtualservice.networking.istio.io/default/bank spec.http[0].route[0]")


def test_a_cluster_that_is_told_its_endpoints_stays_without_any() -> None:
    """Resolution STATIC: the subset answers 503 UH without them, and no order of writes changes that."""
    live, desired = (entry(one, resolution="STATIC") + RULE + route("v1") for one in ("v1", "v2"))
    assert planned(live, desired) == "1 widen\n    apply ServiceEntry default/bank"


def test_a_subset_by_a_label_that_istiod_gives_is_taken_to_have_endpoints() -> None:
    """No manifest tells; of the subsets that do lose theirs, nobody may be named."""
    assert planned(entry("v1") + RULE + route("near"), entry("v2") + RULE + route("near")) == (
        "1 widen\n"
        "    when outbound|80|v1|bank.example unreferenced everywhere\n"
        "    soak 1 s\n"
        "    apply ServiceEntry default/bank"
    )


def test_without_endpoints_the_host_is_one_and_bears_no_label() -> None:
    """So a subset by labels has no cluster, and a route to it would fail."""
    plan = planned(entry() + RULE, entry() + RULE + route("v1"))
    assert plan.startswith("refused dangling-reference")


def test_a_refusal_says_that_it_takes_an_endpoint() -> None:
    """That some DestinationRule has the subset is not enough."""
    (refusal,) = make_plan(entry("v1") + RULE, entry("v1") + RULE + route("v2")).refusals
    assert refusal.remedy == (
        "add subset v2, with labels that an endpoint of serviceentry.networking.istio.io/default/bank has, "
        "to a DestinationRule that these proxies look up, or correct the name"
    )
