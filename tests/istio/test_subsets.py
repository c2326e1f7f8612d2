"""Which subsets exist for whom: the merge table of ISTIO.md 16, case by case, and the look-up path of 3.1."""

from __future__ import annotations

import pytest

from safeapply.istio.kinds import DestinationRule, Port, Service, Subset
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import Labels, ProxyClass, Role
from safeapply.istio.subsets import effective_subsets
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import Host

REVIEWS = Host("reviews.app.svc.cluster.local")
APP, CLIENT, ROOT, THIRD = map(Namespace, ("app", "client", "istio-system", "third"))
MESH = MeshSettings()
SERVICE = Service(
    ResourceId("", "Service", APP, "reviews"), "", REVIEWS, (Port(9080, http=True, tcp=False),), (), None
)


def rule(
    name: str,
    *subsets: str,
    namespace: Namespace = APP,
    host: str = REVIEWS,
    created: str = "",
    export_to: set[str] | None = None,
    selector: tuple[tuple[str, str], ...] | None = None,
) -> DestinationRule:
    """Return a DestinationRule for reviews, created in the order of the names unless said otherwise."""
    return DestinationRule(
        id=ResourceId("networking.istio.io", "DestinationRule", namespace, name),
        created=created or name,
        host=Host(host),
        export_to=None if export_to is None else frozenset(export_to),
        selector=selector,
        subsets=tuple(Subset(subset, (("version", subset),)) for subset in subsets),
    )


def subsets(*rules: DestinationRule, client: Namespace = CLIENT, labels: dict[str, str] | None = None) -> list[str]:
    """Return the names of the subsets that sidecars of a namespace have."""
    proxy_class = ProxyClass(Role.SIDECAR, client, Labels.of(labels or {}))
    return sorted(subset.name for subset in effective_subsets(rules, proxy_class, SERVICE, MESH))


SELECTED = (("app", "web"),)
OWN, OWN_AND_MORE = {"."}, {".", "ns2"}


@pytest.mark.parametrize(
    ("case", "rules", "client", "expected"),
    [
        ("1: two rules without exportTo are merged", [rule("a", "v1"), rule("b", "v2")], CLIENT, ["v1", "v2"]),
        (
            "3: absent and * are different sets, so the newer rule stands alone",
            [rule("a", "v1"), rule("b", "v2", export_to={"*"})],
            CLIENT,
            ["v2"],
        ),
        (
            "3: the same with the ages reversed",
            [rule("a", "v1", created="9"), rule("b", "v2", created="1", export_to={"*"})],
            CLIENT,
            ["v1"],
        ),
        (
            "4: a newer rule exported to more is merged into the older",
            [rule("a", "v1", export_to=OWN), rule("b", "v2", export_to=OWN_AND_MORE)],
            APP,
            ["v1", "v2"],
        ),
        (
            "4b: a newer rule exported to less stands alone",
            [rule("a", "v1", created="9", export_to=OWN), rule("b", "v2", created="1", export_to=OWN_AND_MORE)],
            APP,
            ["v1"],
        ),
        (
            "5: a rule in the client's namespace hides the subsets of the service's namespace",
            [rule("a", "v1", "v2"), rule("b", namespace=CLIENT)],
            CLIENT,
            [],
        ),
        (
            "5b: even a wildcard in the client's namespace does",
            [rule("a", "v1", "v2"), rule("b", namespace=CLIENT, host="*.local")],
            CLIENT,
            [],
        ),
        (
            "5c: a rule in a third namespace is ignored",
            [rule("a", "v1"), rule("b", "v2", namespace=THIRD, export_to={"*"})],
            CLIENT,
            ["v1"],
        ),
        ("6: the root namespace is a fallback", [rule("a", "v1", namespace=ROOT)], CLIENT, ["v1"]),
        (
            "6: and no more than a fallback",
            [rule("a", "v1", namespace=ROOT), rule("b", "v2")],
            CLIENT,
            ["v2"],
        ),
        (
            "6c: a client in the root namespace takes a private rule there first",
            [rule("a", "v1", namespace=ROOT, export_to=OWN), rule("b", "v2")],
            ROOT,
            ["v1"],
        ),
        (
            "6c: but not a public one",
            [rule("a", "v1", namespace=ROOT), rule("b", "v2")],
            ROOT,
            ["v2"],
        ),
        (
            "7: an exact rule that is hidden from the client hides the wildcard beside it",
            [rule("a", "v1", export_to={"other"}), rule("b", "v2", host="*.local")],
            CLIENT,
            [],
        ),
        (
            "7: so does one exported to nobody",
            [rule("a", "v1", export_to={"~"}), rule("b", "v2", host="*.local")],
            CLIENT,
            [],
        ),
        (
            "of three, the last is not merged with the one before it, so it stands alone too",
            [rule("a", "v1", export_to=OWN), rule("b", "v2", export_to={"*"}), rule("c", "v3", export_to=OWN)],
            APP,
            ["v3"],
        ),
        (
            "a rule that widens an older one is merged into it, and seen no farther than that",
            [rule("a", "v1", export_to={"third"}), rule("b", "v2", export_to={"third", "client"})],
            CLIENT,
            [],
        ),
        ("9b: a dotted short name matches nothing", [rule("a", "v1", host="reviews.app")], CLIENT, []),
        (
            "10: an exact rule beats a wildcard of the same namespace",
            [rule("a", "v1", host="*.local"), rule("b", "v2")],
            CLIENT,
            ["v2"],
        ),
    ],
)
def test_merge_table(case: str, rules: list[DestinationRule], client: Namespace, expected: list[str]) -> None:
    """Each row of the table that was measured on Istio's own functions holds."""
    assert subsets(*rules, client=client) == expected, case


def test_the_older_definition_of_a_subset_is_kept() -> None:
    """Case 2: of two subsets with one name the older one's labels count."""
    older = rule("a", "v1")
    newer = DestinationRule(older.id, "b", REVIEWS, None, None, (Subset("v1", (("version", "other"),)),))
    found = effective_subsets((newer, older), ProxyClass(Role.SIDECAR, CLIENT), SERVICE, MESH)
    assert found == older.subsets


def test_a_selector_rule_replaces_the_plain_one_for_the_pods_it_selects() -> None:
    """Case 8: with the usual absent exportTo the plain rule's subsets vanish for matching pods."""
    rules = (rule("a", "v1"), rule("b", "v2", selector=SELECTED, export_to=OWN))
    assert subsets(*rules, client=APP, labels={"app": "web"}) == ["v2"]
    assert subsets(*rules, client=APP, labels={"app": "other"}) == ["v1"]


def test_a_private_plain_rule_beside_a_selector_rule_is_lost_to_all_others() -> None:
    """Case 8d, istio#58322: it is merged into the selector rule and dropped for everyone else."""
    rules = (rule("a", "v1", export_to=OWN), rule("b", "v2", selector=SELECTED, export_to=OWN))
    assert subsets(*rules, client=APP, labels={"app": "web"}) == ["v1", "v2"]
    assert subsets(*rules, client=APP, labels={"app": "other"}) == []


def test_a_selector_rule_says_nothing_to_other_namespaces() -> None:
    """ISTIO.md 3.4: selector rules count for clients of their own namespace only."""
    rules = (rule("a", "v1"), rule("b", "v2", selector=SELECTED, export_to=OWN))
    assert subsets(*rules, client=CLIENT, labels={"app": "web"}) == ["v1"]


def test_a_place_that_has_a_rule_answers_even_whom_it_does_not_select() -> None:
    """ISTIO.md 3.1: the look-up ends at the client's namespace, before selectors are looked at."""
    rules = (rule("a", "v1"), rule("b", "v2", namespace=CLIENT, selector=SELECTED, export_to=OWN))
    assert subsets(*rules, labels={"app": "web"}) == ["v2"]
    assert subsets(*rules, labels={"app": "other"}) == []
