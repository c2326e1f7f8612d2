"""``kubectl describe`` tells who changed an object, in which step, and why: by the real kubectl."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.clusters import files, kubectl, safeapply
from tests.sandbox.apiserver.cluster import Cluster, rule, service

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
CLASS = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "GatewayClass",
    "metadata": {"name": "istio"},
    "spec": {"controllerName": "istio.io/gateway-controller"},
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Return an API server without Envoys."""
    with Cluster(tmp_path) as running:
        yield running


def events(cluster: Cluster, name: str) -> list[tuple[str, str]]:
    """Return the reasons and the messages that kubectl shows below an object, the oldest first."""
    said = kubectl(cluster, "describe", name)
    _, _, table = said.out.partition("\nEvents:")
    rows = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()[3:]]
    assert all((kind, by) == ("Normal", "safeapply") for kind, _, _, by, _ in rows)
    return [(reason, message) for _, reason, _, _, message in rows]


def route(subset: str) -> dict[str, object]:
    """Return a VirtualService to a subset of the reviews."""
    http = [{"route": [{"destination": {"host": "reviews", "subset": subset}}]}]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews"},
        "spec": {"hosts": ["reviews"], "http": http},
    }


def test_each_write_of_a_rename_is_told_below_its_object(cluster: Cluster, tmp_path: Path) -> None:
    """The rule was written twice since its creation, the route once; each with the plan's sentence of why."""
    for subset in ("v1", "stable"):
        made = files(tmp_path / subset, service(), rule("reviews", subset), route(subset))
        done = safeapply(cluster, "apply", "-f", made, "--yes", "--soak=0")
        assert done.code == 0, done.err
    (_, widened, narrowed), (_, switched) = (events(cluster, one) for one in ("dr/reviews", "vs/reviews"))
    assert [reason for reason, _ in (widened, switched, narrowed)] == ["Widened", "Switched", "Narrowed"]
    message = switched[1]
    assert re.fullmatch(r".+ \(pid \d+\), step 2 of 3, switch: Routes move to subset stable of .+", message)
    assert "step 1 of 3, widen: " in widened[1]
    assert "step 3 of 3, narrow: Subset v1 of " in narrowed[1]
    assert kubectl(cluster, "events", "--for", "virtualservice/reviews").out.count("VirtualService/reviews") == 2


def test_an_object_without_a_namespace_has_its_events_in_the_default_one(cluster: Cluster, tmp_path: Path) -> None:
    """Where Kubernetes keeps those, and where kubectl finds them."""
    assert safeapply(cluster, "apply", "-f", files(tmp_path / "manifests", CLASS), "--yes").code == 0
    ((reason, message),) = events(cluster, "gatewayclass/istio")
    assert (reason, "step 1 of 1" in message) == ("Widened", True)
    assert "istio" in kubectl(cluster, "get", "events", "--namespace", "default").out
