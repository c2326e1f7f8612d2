"""Which pods run an Envoy, which one it is, and where it stands in its life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from safeapply.istio.proxies import Condition, Role, proxy_of_pod
from safeapply.resources.objects import Namespace, Resource, ResourceId

READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
RUNNING = {"name": "istio-proxy", "state": {"running": {}}}


def pod(
    containers: Sequence[Mapping[str, Any]] = (),
    *,
    init: Sequence[Mapping[str, Any]] = (),
    status: Mapping[str, Any] = READY,
    **metadata: object,
) -> Resource:
    """Return a pod of these containers."""
    return Resource(
        ResourceId("", "Pod", Namespace("default"), "a"),
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a", "namespace": "default", "uid": "u", **metadata},
            "spec": {"containers": list(containers), "initContainers": list(init), "nodeName": "node-1"},
            "status": status,
        },
    )


def envoy(*arguments: str, image: str = "docker.io/istio/proxyv2:1.24.1", **more: object) -> Mapping[str, Any]:
    """Return the proxy's container."""
    return {"name": "istio-proxy", "image": image, "args": ["proxy", *arguments], **more}


@pytest.mark.parametrize(
    ("arguments", "role"),
    [("sidecar", Role.SIDECAR), ("router", Role.GATEWAY), ("waypoint", Role.WAYPOINT)],
)
def test_the_arguments_tell_the_role(arguments: str, role: Role) -> None:
    """Gateways of the Gateway API and injected ones run as routers, like those of a chart."""
    found = proxy_of_pod(pod([envoy(arguments)]))
    assert found is not None
    assert found.role is role


def test_a_native_sidecar_is_an_init_container_that_stays() -> None:
    """Its status stands among those of the init containers, and the pod may still be pending."""
    status = {"phase": "Pending", "initContainerStatuses": [RUNNING]}
    found = proxy_of_pod(pod([{"name": "app"}], init=[envoy("sidecar", restartPolicy="Always")], status=status))
    assert found is not None
    assert found.condition is Condition.STARTING


@pytest.mark.parametrize(
    "nothing",
    [
        pod([{"name": "app"}]),
        pod([envoy("ztunnel")]),
        pod([envoy("sidecar")], status={"phase": "Succeeded"}),
        pod(
            [envoy("sidecar")],
            status={**READY, "containerStatuses": [{"name": "istio-proxy", "state": {"terminated": {}}}]},
        ),
        pod([envoy("sidecar")], status={"phase": "Pending"}),
    ],
    ids=["no proxy", "ztunnel", "a job that is done", "a proxy that ended", "not yet started"],
)
def test_what_runs_no_envoy_is_not_asked(nothing: Resource) -> None:
    """A ztunnel has a container of the same name, and is no Envoy."""
    assert proxy_of_pod(nothing) is None


def test_a_pod_that_shall_go_still_counts() -> None:
    """It serves what it has until it is gone; whether it gets traffic is what it says itself."""
    found = proxy_of_pod(pod([envoy("sidecar")], deletionTimestamp="2026-01-01T00:00:00Z"))
    assert found is not None
    assert (found.condition, found.ready) == (Condition.TERMINATING, True)


def test_a_container_that_was_started_anew_is_another_envoy() -> None:
    """Same pod, same uid, and nothing in it."""
    once, twice = (
        proxy_of_pod(
            pod([envoy("sidecar")], status={**READY, "containerStatuses": [{**RUNNING, "restartCount": count}]})
        )
        for count in (0, 1)
    )
    assert once is not None
    assert twice is not None
    assert once.life != twice.life


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("docker.io/istio/proxyv2:1.24.1", "1.24.1"),
        ("registry:5000/istio/proxyv2:1.24.1-distroless@sha256:0a", "1.24.1-distroless"),
        ("registry:5000/istio/proxyv2", ""),
    ],
)
def test_the_version_is_the_tag_of_the_image(image: str, version: str) -> None:
    """A port of the registry is no tag."""
    found = proxy_of_pod(pod([envoy("sidecar", image=image)]))
    assert found is not None
    assert (found.version, found.node) == (version, "node-1")


@pytest.mark.parametrize(
    "metadata",
    [
        {"annotations": {"istio.io/rev": "canary"}},
        {"annotations": {"sidecar.istio.io/status": '{"revision": "canary"}'}},
        {
            "labels": {"istio.io/rev": "prod"},
            "annotations": {"istio.io/rev": "prod", "sidecar.istio.io/status": '{"revision": "canary"}'},
        },
    ],
)
def test_the_revision_is_what_the_injector_wrote_down(metadata: Mapping[str, Any]) -> None:
    """Whatever tag the user wrote: only the injector knows which istiod that is."""
    found = proxy_of_pod(pod([envoy("sidecar")], **metadata))
    assert found is not None
    assert found.revision == "canary"


def test_a_label_that_may_be_a_tag_tells_no_revision() -> None:
    """``istio.io/rev: prod`` asks for whatever revision the tag stands for."""
    found = proxy_of_pod(pod([envoy("sidecar")], labels={"istio.io/rev": "prod"}))
    assert found is not None
    assert found.revision == ""
