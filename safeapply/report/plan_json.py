"""A plan as JSON, in the format that DESIGN 9 fixes; other programs read it, so it only ever grows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any, Final, assert_never

from safeapply.istio.proxies import ProxyClass
from safeapply.plans.plan import Caution, Operation, Plan, Refusal, Step
from safeapply.resources.objects import ResourceId
from safeapply.resources.secrets import masked
from safeapply.visible import visible_json
from safeapply.xds.expectations import (
    ClusterAbsent,
    ClusterActive,
    ClusterSends,
    ClusterUnreferenced,
    Expectation,
    InboundAccepts,
    OriginGone,
    RouteRefers,
    RouteReleased,
)

__all__ = ["FORMAT_VERSION", "plan_document", "plan_json"]

FORMAT_VERSION: Final = "1"


def plan_json(plan: Plan) -> str:
    """Return the plan as indented JSON, with a newline at the end."""
    return visible_json(json.dumps(plan_document(plan), indent=2, ensure_ascii=False)) + "\n"


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return the plan as the JSON object that ``plan -o json`` prints."""
    return {
        "formatVersion": FORMAT_VERSION,
        "steps": [_step(step) for step in plan.steps],
        "settled": {"expectations": _expectations(plan.workloads, plan.settled)},
        **({"left": [_step(step) for step in plan.left]} if plan.left else {}),
        "warnings": [_warning(caution) for caution in plan.warnings],
        "refusals": [_refusal(refusal) for refusal in plan.refusals],
    }


def _step(step: Step) -> dict[str, Any]:
    told: dict[str, Any] = {
        "phase": step.phase.value,
        "operations": [_operation(operation) for operation in step.operations],
        "expectations": _expectations(step.workloads, step.expectations),
        "soakSeconds": int(step.soak_seconds) if step.soak_seconds == int(step.soak_seconds) else step.soak_seconds,
        "why": step.why,
    }
    return told | ({"without": step.without} if step.without else {})


def _operation(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "action": operation.action.value,
        "resource": str(operation.resource.id),
        "manifest": masked(operation.resource),
    }
    return told | ({"bridge": True} if operation.bridge else {})


def _expectations(workloads: Iterable[ResourceId], expected: Iterable[Expectation]) -> list[dict[str, Any]]:
    ready = [{"type": "workloadReady", "resource": str(one)} for one in workloads]
    return [*ready, *map(_expectation, expected)]


def _expectation(expected: Expectation) -> dict[str, Any]:
    match expected:
        case ClusterActive(cluster=cluster, ready_endpoint=ready):
            told: dict[str, Any] = {"type": "clusterActive", "cluster": cluster, "readyEndpoint": ready}
        case ClusterUnreferenced(cluster=cluster):
            told = {"type": "clusterUnreferenced", "cluster": cluster}
        case ClusterAbsent(cluster=cluster):
            told = {"type": "clusterAbsent", "cluster": cluster}
        case RouteRefers(host=host, cluster=cluster):
            told = {"type": "routeRefers", "host": host, "cluster": cluster}
        case RouteReleased(host=host, cluster=cluster):
            told = {"type": "routeReleased", "host": host, "cluster": cluster}
        case OriginGone(origin=origin):
            told = {"type": "originGone", "kind": origin.kind, "namespace": origin.namespace, "name": origin.name}
        case ClusterSends(cluster=cluster, sent=sent, automatic=automatic):
            listed = sorted(one.value for one in sent)
            told = {"type": "clusterSends", "cluster": cluster, "sent": listed, "automatic": automatic}
        case InboundAccepts(port=port, mode=mode):
            told = {"type": "inboundAccepts", "port": port, "mode": mode.value}
        case _:
            assert_never(expected)
    return told | {"proxies": _classes(expected.classes)}


def _classes(classes: Collection[ProxyClass] | None) -> str | list[dict[str, Any]]:
    """Return ``"all"``, or the classes in a fixed order; the revision ``*`` is any that no object is for."""
    if classes is None:
        return "all"
    return [
        {"role": one.role.value, "namespace": one.namespace, "labels": dict(one.labels.pairs)}
        | ({} if one.revision is None else {"revision": one.revision})
        for one in sorted(classes, key=str)
    ]


def _warning(caution: Caution) -> dict[str, Any]:
    return {"code": caution.code, "message": caution.message, "objects": [str(one) for one in caution.objects]}


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {
        "code": refusal.code,
        "objects": [str(one) for one in refusal.objects],
        "proxyClass": refusal.proxy_class,
        "request": refusal.request,
        "remedy": refusal.remedy,
    }
