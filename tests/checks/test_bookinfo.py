"""Every state of Bookinfo is clean, or what is found in it is true.

The manifests are other hands' work and are not part of the project; the tests read them where they are.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path

import pytest

from safeapply.checks.check import check
from safeapply.checks.scene import Sight
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace, Resource

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus" / "bookinfo"
PLATFORM = "platform-bookinfo.yaml"
NOT_DEPLOYED = {
    "virtual-service-details-v2.yaml": ["IST0173 default/details spec.subsets[1]"],
    "virtual-service-ratings-db.yaml": ["IST0173 default/ratings spec.subsets[1]"],
    "virtual-service-ratings-mysql.yaml": ["IST0173 default/ratings spec.subsets[2]"],
    "virtual-service-ratings-mysql-vm.yaml": ["IST0173 default/ratings spec.subsets[3]"],
}
"""Routes to versions whose pods are in other files of Bookinfo: 503 UH until those are applied."""
TWICE = {"fault-injection-details-v1.yaml": ["IST0130 default/details spec.http[1]"]}
"""A rule behind another one, both without a match."""

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not on this machine")


def names(*patterns: str) -> list[str]:
    """Return the names of the manifests that match, sorted."""
    return sorted(path.name for pattern in patterns for path in CORPUS.glob(pattern))


@cache
def read(name: str) -> tuple[Resource, ...]:
    """Return the objects of one file."""
    source = SourceText(name, (CORPUS / name).read_text())
    return read_manifests((source,), default_namespace=Namespace("default"))


def found(*files: str, offline: bool = False) -> list[str]:
    """Return what counts among the findings, as ``CODE namespace/name field``."""
    world = {one.id: one for name in files for one in read(name)}
    findings = check(world, Sight(offline=offline)).findings
    shown = (one for one in findings if one.severity.value != "info")
    return [f"{one.code} {one.object.namespace}/{one.object.name} {one.field}" for one in shown]


def test_each_state_with_all_rules_is_as_known() -> None:
    """Platform, all rules, and one more file."""
    for rules, one in product(("destination-rule-all.yaml", "destination-rule-all-mtls.yaml"), names("*.yaml")):
        expected = {**NOT_DEPLOYED, **TWICE}.get(one, [])
        if not one.startswith(("destination-rule-", "platform-")):
            assert found(PLATFORM, rules, one, offline=True) == expected, (rules, one)


def test_without_its_rules_every_route_to_a_subset_is_reported() -> None:
    """Once for each destination that names a subset: deploy the rules first, as Bookinfo's pages say."""
    for one in names("virtual-service-*.yaml"):
        subsets = [line for line in (CORPUS / one).read_text().splitlines() if line.strip().startswith("subset:")]
        dangling = [line for line in found(PLATFORM, one) if line.startswith("IST0101")]
        assert len(dangling) == len(subsets), one


def test_the_gateway_is_taken_to_exist_where_only_its_route_is_there() -> None:
    """The sample gateway comes with its route; nothing is found."""
    assert found(PLATFORM, "bookinfo-gateway.yaml") == []
    assert found("bookinfo-gateway.yaml", offline=True) == []
