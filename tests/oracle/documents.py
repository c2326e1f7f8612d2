"""Between the oracle's worlds and the product's: Kubernetes objects one way, a plan's steps the other way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

import yaml

from safeapply.istio.proxies import Labels, Proxy, Role
from safeapply.plans.changes import changes_between
from safeapply.plans.plan import Action, Operation, Plan
from safeapply.plans.plan import Step as PlannedStep
from safeapply.plans.planner import plan
from safeapply.resources import objects
from safeapply.resources.objects import Resource, ResourceId
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
from tests.oracle import model
from tests.oracle.delivery import Look, Sight, Step, Write
from tests.oracle.model import (
    ANY_HOST,
    Cluster,
    Destination,
    DestinationRule,
    Host,
    Item,
    MatchKey,
    Namespace,
    Rule,
    Service,
    Subset,
    VirtualService,
    World,
    id_of,
)
from tests.oracle.references import Transition
from tests.oracle.worlds import NEW

PORT = 9080
SUFFIX = ".svc.cluster.local"


def planned(transition: Transition) -> Plan:
    """Return what the product makes of a transition: all that is desired is given, all that goes is named."""
    live = resources(transition.live)
    desired = resources(transition.desired)
    changes, unchanged = changes_between(live, desired.values(), {}, live.keys() - desired.keys())
    return plan(live, changes, unchanged=unchanged, proxies=tuple(map(_proxy, transition.clients)))


def resources(world: World) -> dict[ResourceId, Resource]:
    """Return the objects of a world as the API server would hand them over."""
    return {one.id: one for one in map(_resource, sorted(world.items(), key=repr))}


def written(world: World) -> str:
    """Return a world as YAML."""
    shown = (one.document for one in resources(world).values())
    return yaml.safe_dump_all(shown, default_flow_style=None, sort_keys=False, width=200)


def steps_of(made: Plan, *, live: World, all_is_proven: bool) -> tuple[Step, ...]:
    """Return a plan's steps as the oracle's.

    Args:
        made: the product's plan.
        live: tells the age of what is there already.
        all_is_proven: whether a barrier stands for all that was written before it, or only for its expectations.
    """
    ages = {id_of(item): item.created for item in live.items() if not isinstance(item, Service)}
    return tuple(
        Step(tuple(_write(one, ages) for one in step.operations), _proof(step, all_is_proven=all_is_proven))
        for step in made.steps
    )


def barriers(made: Plan) -> int:
    """Return how often a rollout waits between two writes."""
    return sum(1 for step in made.steps[1:] if step.expectations)


def _proof(step: PlannedStep, *, all_is_proven: bool) -> tuple[Sight, ...] | None:
    if all_is_proven and step.expectations:
        return None
    return tuple(map(_sight, step.expectations))


def _sight(one: Expectation) -> Sight:
    cluster = _cluster(one.cluster)
    clients = None if one.classes is None else frozenset(Namespace(each.namespace) for each in one.classes)
    match one:
        case ClusterActive():
            return Sight(Look.ACTIVE, cluster, clients)
        case ClusterAbsent():
            return Sight(Look.ABSENT, cluster, clients)
        case ClusterUnreferenced():
            return Sight(Look.UNREFERRED, cluster, clients)
        case RouteRefers():
            return Sight(Look.REFERRED, cluster, clients, _host(one.host) if one.host else None)
        case RouteReleased():
            return Sight(Look.UNREFERRED, cluster, clients, _host(one.host) if one.host else None)
        case ClusterSends() | InboundAccepts() | OriginGone():
            msg = f"no world of the oracle speaks of TLS or asks as scripts do, but the plan expects {one}"
            raise AssertionError(msg)
        case _:
            assert_never(one)


def _cluster(name: str) -> Cluster:
    _, _, subset, host = name.split("|")
    return Cluster(_host(host), Subset(subset))


def _host(text: str) -> Host:
    return ANY_HOST if text.startswith("*") else Host(text.removesuffix(SUFFIX))


def _write(operation: Operation, ages: dict[model.ItemId, int]) -> Write:
    item = _item(operation.resource)
    if operation.action is Action.DELETE:
        return Write(id_of(item), None)
    return Write(id_of(item), _item(operation.resource, ages.get(id_of(item), NEW)))


def _item(resource: Resource, created: int = NEW) -> Item:
    name, namespace, spec = resource.id.name, Namespace(resource.id.namespace), resource.spec
    export_to = tuple(spec.get("exportTo") or ())
    match resource.id.kind:
        case "Service":
            return Service(Host(f"{name}.{namespace}"))
        case "DestinationRule":
            subsets = frozenset(Subset(one["name"]) for one in spec.get("subsets") or ())
            return DestinationRule(name, namespace, _host(spec["host"]), subsets, created, export_to)
        case "VirtualService":
            rules = tuple(map(_rule, spec["http"]))
            return VirtualService(name, namespace, tuple(map(_host, spec["hosts"])), rules, created, export_to)
        case other:
            raise AssertionError(f"a plan for small worlds writes a {other}")


def _rule(spec: dict[str, Any]) -> Rule:
    key = MatchKey(spec["match"][0]["uri"]["prefix"].strip("/")) if "match" in spec else None
    mirrors = tuple(_destination({"destination": one["destination"]}) for one in spec.get("mirrors") or ())
    return Rule(tuple(map(_destination, spec["route"])), key, mirrors)


def _destination(spec: dict[str, Any]) -> Destination:
    aim = spec["destination"]
    return Destination(_host(aim["host"]), Subset(aim.get("subset", "")), spec.get("weight", 100))


def _resource(item: Item) -> Resource:
    kind, name = id_of(item).kind, id_of(item).name
    group = "" if kind == "Service" else "networking.istio.io"
    metadata: dict[str, object] = {"name": name, "namespace": item.namespace}
    if not isinstance(item, Service) and item.created != NEW:
        metadata["creationTimestamp"] = f"2026-01-01T00:00:{item.created:02d}Z"
    document = {
        "apiVersion": f"{group}/v1".removeprefix("/"),
        "kind": kind,
        "metadata": metadata,
        "spec": _spec(item),
    }
    return Resource(ResourceId(group, kind, objects.Namespace(item.namespace), name), document)


def _spec(item: Item) -> dict[str, object]:
    match item:
        case Service():
            return {"ports": [{"name": "http", "port": PORT}]}
        case DestinationRule():
            kept = [{"name": one, "labels": {"version": one}} for one in sorted(item.subsets)]
            return {"host": _dns(item.host), **({"subsets": kept} if kept else {}), **_export(item.export_to)}
        case VirtualService():
            rules = [_http(rule) for rule in item.rules]
            return {"hosts": [_dns(host) for host in item.hosts], "http": rules, **_export(item.export_to)}
        case _:
            assert_never(item)


def _http(rule: Rule) -> dict[str, object]:
    match = {"match": [{"uri": {"prefix": f"/{rule.key}"}}]} if rule.key else {}
    weighted = len(rule.split) > 1
    split = [{**_aim(one), **({"weight": one.weight} if weighted else {})} for one in rule.split]
    mirrors = {"mirrors": [_aim(one) for one in rule.mirrors]} if rule.mirrors else {}
    return {**match, "route": split, **mirrors}


def _aim(one: Destination) -> dict[str, object]:
    return {"destination": {"host": _dns(one.host), **({"subset": one.subset} if one.subset else {})}}


def _export(export_to: Iterable[str]) -> dict[str, object]:
    return {"exportTo": list(export_to)} if export_to else {}


def _dns(host: Host) -> str:
    return f"*{SUFFIX}" if host == ANY_HOST else f"{host}{SUFFIX}"


def _proxy(client: Namespace) -> Proxy:
    pod = f"client-{client}"
    return Proxy(objects.Namespace(client), pod, pod, Role.SIDECAR, Labels(), ready=True)
