"""The barrier as a command: it ends when the Envoys show it, and says who does not."""

from __future__ import annotations

import json

import pytest

from safeapply.resources.objects import GroupKind, Namespace, ResourceId
from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.mesh import Mesh
from tests.mesh.command import command, ended, scene, started

V1 = "outbound|9080|v1|reviews.default.svc.cluster.local"
ISTIO = "networking.istio.io"
ROUTE = ResourceId(ISTIO, "VirtualService", Namespace("default"), "reviews")
RULE = ResourceId(ISTIO, "DestinationRule", Namespace("default"), "reviews")


async def test_what_is_there_is_waited_for_no_longer() -> None:
    """Several conditions at once; each gets kubectl's line."""
    async with Mesh(scene()) as mesh:
        result = await command(mesh, "wait", "--for=subset=reviews.default/v1", "--for=vs=default/reviews")
        assert result.code == 0, result.err
        assert result.out == "subset=reviews.default/v1 condition met\nvs=default/reviews condition met\n"


async def test_time_that_is_too_short_names_the_stragglers() -> None:
    """Exit 3, on the terminal and for scripts; every proxy still routes there."""
    async with Mesh(scene()) as mesh:
        result = await command(mesh, "wait", "--for=no-subset=reviews/v1", "--timeout=1s", "-o", "json")
        assert result.code == 3
        report = json.loads(result.out)
        assert report["outcome"] == "timeout"
        assert len(report["stragglers"]) == len(mesh.proxies)
        assert f"client-1.default: route configuration 9080 still names {V1}" in result.err


async def test_a_subset_that_nobody_declares_is_waited_for_and_named() -> None:
    """It may come with the next apply; a host that nobody knows is a mistake."""
    async with Mesh(scene()) as mesh:
        late = await command(mesh, "wait", "--for=subset=reviews/v9", "--timeout=1s")
        assert (late.code, late.out) == (3, "")
        assert "no DestinationRule gives reviews.default.svc.cluster.local a subset v9" in late.err
        wrong = await command(mesh, "wait", "--for=no-subset=rviews/v1")
        assert (wrong.code, wrong.out) == (2, "")
        assert "nobody declares rviews" in wrong.err


@pytest.mark.parametrize("kind", ["virtualservice", "destinationrule"])
async def test_a_deletion_may_be_waited_for_when_it_has_happened(kind: str) -> None:
    """As scripts do it: delete, then wait. What istiod made of the object bears its mark until the push."""
    slow = Delays(lag=Span(0.0, 0.1), push=Span(1.5, 2.0))
    async with Mesh(scene(delays=slow)) as mesh:
        mesh.store.delete({"virtualservice": ROUTE, "destinationrule": RULE}[kind])
        early = await command(mesh, "wait", f"--for=delete={kind}/default/reviews", "--timeout=500ms")
        assert early.code == 3, early.err
        assert f"still comes from {kind} default/reviews" in early.err
        late = await command(mesh, "wait", f"--for=delete={kind}/default/reviews", "--timeout=20s")
        assert late.code == 0, late.err


async def test_a_deletion_is_over_when_no_proxy_shows_it() -> None:
    """The object goes, every replica of istiod has seen it, and no Envoy names what it named."""
    async with Mesh(scene()) as mesh:
        waiting = await started(mesh, "wait", "--for=delete=virtualservice/default/reviews", "-o", "json")
        assert waiting.stderr is not None
        assert b"is still there" in await waiting.stderr.readline()
        mesh.store.delete(ROUTE)
        result = await ended(waiting)
        assert result.code == 0, result.err
        report = json.loads(result.out)
        assert (report["outcome"], report["proxies"]) == ("met", len(mesh.proxies))
        assert report["istiod"]["seenBy"] == ["istiod-0.istio-system", "istiod-1.istio-system"]
        assert mesh.store.list(GroupKind(ISTIO, "VirtualService")) == ()
