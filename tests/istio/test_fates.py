"""Which requests have to be served in between, and what they ask for, as documents."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from safeapply.istio.fates import Promise
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.snapshot import Snapshot, snapshot_of
from safeapply.istio.view import Views
from safeapply.resources.objects import ResourceId
from tests.istio.test_view import INGRESS, SIDECAR, http, snapshot

V1 = "route: [{destination: {host: reviews, subset: v1}}]"
V2 = "route: [{destination: {host: reviews, subset: v2}}]"
GONE = "route: [{destination: {host: reviews, subset: gone}}]"
SOME = "match: [{uri: {prefix: /x}}]"
ROUTE = ResourceId("networking.istio.io", "VirtualService", SIDECAR.namespace, "reviews")


def rules(*several: str) -> str:
    """Return a VirtualService for reviews with these rules."""
    listed = ", ".join(f"{{{one}}}" for one in several)
    return http(f"{{hosts: [reviews], http: [{listed}]}}")


def asked(
    live: str, desired: str, between: Sequence[str] = (), *, of: ProxyClass = SIDECAR
) -> list[tuple[str, str]]:
    """Return for each match what is asked for in some mixture of these worlds; 404 is a route that is not there."""
    ends = [snapshot(text) for text in (live, desired)]
    promise = Promise(*map(Views, ends))
    mixture = mixed([*ends, *map(snapshot, between)])
    return sorted(
        {
            (demand.text, name.split("|")[2] or "whole")
            for demand in promise.demands(mixture, of, ROUTE)
            for name in demand.clusters or {"||404|"}
        }
    )


def mixed(worlds: Sequence[Snapshot]) -> Snapshot:
    """Return the mesh in which a proxy may see each object as it is in any of some worlds."""
    names = dict.fromkeys(one for world in worlds for one in world.versions)
    versions = {
        one: tuple(dict.fromkeys(v for world in worlds for v in world.versions.get(one, (None,)))) for one in names
    }
    return snapshot_of(versions, worlds[0].mesh)


def test_every_cluster_of_a_mixture_is_asked_for() -> None:
    """DESIGN 1: what is served before and after is served in between."""
    assert asked(rules(V1), rules(V2)) == [("", "v1"), ("", "v2")]


def test_what_fails_at_one_end_is_not_promised() -> None:
    """A route that is broken live, or will be, has nobody who would notice."""
    assert asked(rules(GONE), rules(V2)) == []
    assert asked(rules(V1), rules(GONE)) == []


def test_of_a_split_that_is_broken_in_part_the_other_part_is_promised() -> None:
    """ISTIO.md 1.3: only its share fails."""
    half = (
        "route: [{destination: {host: reviews, subset: gone}, weight: 50}, "
        "{destination: {host: reviews, subset: v1}, weight: 50}]"
    )
    assert asked(rules(half), rules(V2)) == [("", "v1"), ("", "v2")]
    assert ("", "gone") not in asked(rules(half), rules(half), [rules(V2)])


def test_a_rule_for_some_requests_leaves_the_others_without_a_route() -> None:
    """ISTIO.md 17 no. 12: a sidecar answers them 404 NR."""
    assert ("", "404") in asked(rules(V1), rules(V1), [rules(f"{SOME}, {V1}")])
    assert ("", "404") not in asked(rules(f"{SOME}, {V1}"), rules(V1))


def test_without_a_virtual_service_the_whole_service_is_called() -> None:
    """ISTIO.md 4.4: so a rule for some requests takes away what the default route had served."""
    assert ("", "404") in asked("", "", [rules(f"{SOME}, {V1}")])


def test_requests_are_promised_by_match() -> None:
    """Those for /x were whole, those for /y were not."""
    live = rules(f"{SOME}, {V1}", f"match: [{{uri: {{prefix: /y}}}}], {GONE}")
    desired = rules(f"{SOME}, {V2}", f"match: [{{uri: {{prefix: /y}}}}], {V2}")
    assert {text for text, _ in asked(live, desired)} == {"uri prefix /x"}


@pytest.mark.parametrize("path", ["prefix: /x/y", "exact: /x", "regex: /x.*"])
def test_a_match_that_may_overlap_may_take_requests_of_another(path: str) -> None:
    """Nobody can say that the requests for /x fail where another rule may answer some of them."""
    other = f"match: [{{uri: {{{path}}}}}]"
    live = rules(f"{other}, {V1}", f"{SOME}, {GONE}")
    assert "uri prefix /x" in {text for text, _ in asked(live, rules(V2))}


def test_what_follows_a_rule_for_all_requests_is_not_asked_for() -> None:
    """ISTIO.md 4: istiod sends no rule behind it; of two for one match the first takes all."""
    assert asked(rules(V1, GONE), rules(V1, V2)) == [("", "v1")]
    twice = rules(f"{SOME}, {V1}", f"{SOME}, {V2}", V1)
    assert asked(twice, twice) == [("", "v1"), ("uri prefix /x", "v1")]


def test_a_delegate_that_may_be_missing_leaves_requests_without_a_route() -> None:
    """ISTIO.md 4.6: the rule is dropped."""
    root = rules("delegate: {name: leaf}")
    leaf = http(f"{{http: [{{{V1}}}]}}", name="leaf")
    assert asked(root + leaf, root + leaf) == [("", "v1")]
    assert ("", "v1") in asked(root + leaf, root + leaf, [root])


def test_a_gateway_merges_routes_so_one_of_them_does_not_make_a_404() -> None:
    """ISTIO.md 4.1: what this one leaves over another may take."""
    bound = "{hosts: [a.shop.example], gateways: [web], http: [{RULE}]}"
    everything = http(bound.replace("RULE", V1.replace("subset: v1", "port: {number: 9080}, subset: v1")))
    some = http(bound.replace("RULE", f"{SOME}, {V1.replace('subset: v1', 'port: {number: 9080}, subset: v1')}"))
    assert ("", "404") not in asked(everything, everything, [some], of=INGRESS)
    assert ("", "v1") in asked(everything, everything, [some], of=INGRESS)
