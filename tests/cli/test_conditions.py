"""What ``wait --for`` understands, and what it says of the rest."""

from __future__ import annotations

import pytest

from safeapply.commands.conditions import condition_of
from safeapply.errors import UsageError
from safeapply.plans.conditions import Condition, Deleted, RoutesShown, RuleShown, SubsetReady, SubsetUnused
from safeapply.resources.objects import Namespace, ResourceId

SHOP = Namespace("shop")


def istio(kind: str, namespace: str = "default") -> ResourceId:
    """Return an object named reviews."""
    return ResourceId("networking.istio.io", kind, Namespace(namespace), "reviews")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("subset=reviews.default/v2", SubsetReady("reviews.default", "v2", SHOP)),
        ("no-subset=reviews/v2", SubsetUnused("reviews", "v2", SHOP)),
        ("virtualservice=default/reviews", RoutesShown(istio("VirtualService"))),
        ("vs=reviews", RoutesShown(istio("VirtualService", "shop"))),
        ("DestinationRule=default/reviews", RuleShown(istio("DestinationRule"))),
        ("delete=virtualservices/default/reviews", Deleted(istio("VirtualService"))),
        ("delete=destinationrule.networking.istio.io/reviews", Deleted(istio("DestinationRule", "shop"))),
        ("delete=svc/default/reviews", Deleted(ResourceId("", "Service", Namespace("default"), "reviews"))),
    ],
)
def test_kubectls_names_are_understood(text: str, condition: Condition) -> None:
    """One, many, in short, with the group; a name alone is looked for in the namespace of ``-n``."""
    assert condition_of(text, SHOP) == condition


@pytest.mark.parametrize(
    "text",
    ["", "ready", "subset", "subset=", "subset=reviews", "subset=/v1", "subset=a/b/c", "delete", "delete=reviews",
     "delete=pod/a", "delete=vs/", "virtualservice=a/b/c", "vs=/reviews", "gateway=a/b", "condition=Ready"],
)  # fmt: skip
def test_anything_else_is_refused_in_one_sentence(text: str) -> None:
    """It quotes what was written, and shows how to write it."""
    with pytest.raises(UsageError) as caught:
        condition_of(text, SHOP)
    assert f"--for={text}: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
