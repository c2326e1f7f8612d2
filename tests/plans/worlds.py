"""YAML in, the printed plan out: the form of every planner test."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import dedent

from safeapply.istio.mesh_settings import ISTIO_SYSTEM, settings_of
from safeapply.istio.proxies import Proxy
from safeapply.plans.changes import changes_between
from safeapply.plans.plan import Plan, Step
from safeapply.plans.planner import PlanOptions, plan
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace, Resource, ResourceId
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

SERVICES = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: reviews}, spec: {ports: [{name: http, port: 9080}]}}
- {apiVersion: v1, kind: Service, metadata: {name: ratings}, spec: {ports: [{name: http, port: 9080}]}}
- {apiVersion: v1, kind: Service, metadata: {name: mysql}, spec: {ports: [{name: tcp, port: 3306}]}}
"""
"""What every world here has: two HTTP services and a TCP one, in namespace default."""


def read(text: str, name: str) -> dict[ResourceId, Resource]:
    """Return the objects of some YAML."""
    if not text.strip():
        return {}
    source = SourceText(name, dedent(text))
    return {one.id: one for one in read_manifests((source,), default_namespace=Namespace("default"))}


def rule(name: str, *subsets: str, host: str = "") -> str:
    """Return a DestinationRule whose subsets select the version of their name."""
    listed = ", ".join(f"{{name: {one}, labels: {{version: {one}}}}}" for one in subsets)
    return dedent(f"""\
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {{name: {name}}}
        spec: {{host: {host or name}, subsets: [{listed}]}}
        """)


def route(name: str, *subsets: str, host: str = "", extra: str = "") -> str:
    """Return a VirtualService that splits evenly over subsets of a host."""
    target = host or name
    weights = ", ".join(
        f"{{destination: {{host: {target}, subset: {one}}}, weight: {100 // len(subsets)}}}" for one in subsets
    )
    return dedent(f"""\
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {{name: {name}}}
        spec: {{hosts: [{target}], http: [{{route: [{weights}]{extra}}}]}}
        """)


def make_plan(
    live: str, desired: str, *, deleted: Iterable[str] = (), proxies: Iterable[Proxy] = (), offline: bool = False
) -> Plan:
    """Return the plan from one YAML to another; ``deleted`` names live objects as ``kind/name``."""
    before = {**read(SERVICES, "services.yaml"), **read(live, "live.yaml")}
    gone = [one for one in before if f"{one.kind}/{one.name}" in set(deleted)]
    changes, unchanged = changes_between(before, read(desired, "desired.yaml").values(), {}, gone)
    options = PlanOptions(settings_of(before, ISTIO_SYSTEM), offline=offline)
    return plan(before, changes, unchanged=unchanged, proxies=proxies, options=options)


def planned(live: str, desired: str, *, deleted: Iterable[str] = ()) -> str:
    """Return the printed plan from live YAML to desired YAML."""
    return printed(make_plan(live, desired, deleted=deleted))


def printed(made: Plan) -> str:
    """Return a plan in a few plain lines."""
    lines = [line for number, step in enumerate(made.steps, 1) for line in _step(number, step)]
    lines += [f"refused {one.code}: {one.request}" for one in made.refusals]
    return "\n".join(lines)


def _step(number: int, step: Step) -> Iterable[str]:
    yield f"{number} {step.phase.value}"
    for expectation in step.expectations:
        yield f"    when {_expectation(expectation)}"
    if step.soak_seconds:
        yield f"    soak {step.soak_seconds:g} s"
    for operation in step.operations:
        one = operation.resource
        subsets = " ".join(s["name"] for s in one.spec.get("subsets") or ()) if operation.bridge else ""
        bridge = f" bridge: {subsets}".rstrip(": ") if operation.bridge else ""
        yield f"    {operation.action.value} {one.id.kind} {one.id.namespace}/{one.id.name}{bridge}"


def _expectation(one: Expectation) -> str:  # noqa: PLR0911  one for each kind
    where = "everywhere" if one.classes is None else ", ".join(sorted(map(str, one.classes)))
    short = one.cluster.replace(".default.svc.cluster.local", "")
    match one:
        case ClusterActive():
            return f"{short} active on {where}"
        case ClusterUnreferenced():
            return f"{short} unreferenced {where}"
        case ClusterAbsent():
            return f"{short} absent {where}"
        case RouteRefers():
            return f"{short} routed on {where}"
        case ClusterSends(sent=sent):
            return f"{short} sends {' and '.join(sorted(s.value for s in sent))} on {where}"
        case OriginGone():
            return f"nothing from {short} on {where}"
        case InboundAccepts(mode=mode):
            return f"{short} accepts {mode.value} on {where}"
        case RouteReleased(host=host):
            return f"{short} released by {(host or 'TCP').removesuffix('.default.svc.cluster.local')} on {where}"
