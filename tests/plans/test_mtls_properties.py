"""Mutual TLS on random meshes: no reachable state resets a request, and there is a plan where any order will do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import hypothesis.strategies as st
from hypothesis import example, given, note, settings

from safeapply.istio.proxies import Labels, Proxy, Role
from safeapply.plans.changes import Change
from safeapply.plans.plan import Action, Plan, Step
from safeapply.plans.planner import plan
from safeapply.resources.objects import Namespace, Resource, ResourceId
from tests.plans.tls_oracle import (
    CLIENT,
    CLIENTS,
    HOST,
    PORTS,
    ROOT,
    SERVERS,
    SERVICE,
    Choices,
    Mesh,
    Spec,
    at,
    between,
    conflicts,
)

World: TypeAlias = tuple[Mesh, Mesh]
"""The specs of all objects, live and desired."""

POLICIES = {f"PeerAuthentication/{ROOT}/mesh": None, f"PeerAuthentication/{SERVICE}/whole": None}
OWN = f"PeerAuthentication/{SERVICE}/v1"
RULES = tuple(f"DestinationRule/{namespace}/web" for namespace in (CLIENT, SERVICE, ROOT))
MODES = st.sampled_from(["UNSET", "DISABLE", "PERMISSIVE", "STRICT"])
CLIENT_MODES = st.sampled_from(["DISABLE", "ISTIO_MUTUAL", "SIMPLE"])


@st.composite
def policies(draw: st.DrawFn, *, own: bool) -> Spec | None:
    """Draw a PeerAuthentication, or none."""
    if draw(st.booleans()):
        return None
    spec: dict[str, Any] = {"mtls": {"mode": draw(MODES)}}
    if own:
        spec["selector"] = {"matchLabels": {"version": "v1"}}
        if draw(st.booleans()):
            spec["portLevelMtls"] = {"8080": {"mode": draw(MODES)}}
    return spec


@st.composite
def rules(draw: st.DrawFn) -> Spec | None:
    """Draw a DestinationRule of the service, or none: with TLS, without, or for one port."""
    if draw(st.booleans()):
        return None
    spec: dict[str, Any] = {"host": HOST}
    if draw(st.booleans()):
        spec["trafficPolicy"] = _settings(draw)
        if draw(st.booleans()):
            spec["trafficPolicy"]["portLevelSettings"] = [{"port": {"number": 80}, **_settings(draw)}]
    return spec


def _settings(draw: st.DrawFn) -> dict[str, Any]:
    pool = {"connectionPool": {"tcp": {"maxConnections": 100}}}
    return {"tls": {"mode": draw(CLIENT_MODES)}} if draw(st.booleans()) else pool


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a mesh and another one, in which up to three objects are different."""
    names = (*POLICIES, OWN, *RULES)
    drawn = {name: rules() if name in RULES else policies(own=name == OWN) for name in names}
    live = {name: draw(strategy) for name, strategy in drawn.items()}
    changed = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    return live, {**live, **{name: draw(drawn[name]) for name in changed}}


def joined(live: Spec | None, desired: Spec | None) -> Spec:
    """Return a PeerAuthentication that is PERMISSIVE where two differ."""
    old, new = (one or {} for one in (live, desired))
    modes = [one.get("mtls", {}).get("mode", "UNSET") for one in (old, new)]
    ports = {}
    for port in (*old.get("portLevelMtls", {}), *new.get("portLevelMtls", {})):
        said = [one.get("portLevelMtls", {}).get(port, {}).get("mode", "UNSET") for one in (old, new)]
        own = [mode if mode != "UNSET" else whole for mode, whole in zip(said, modes, strict=True)]
        ports[port] = {"mode": own[0] if own[0] == own[1] else "PERMISSIVE"}
    whole = modes[0] if modes[0] == modes[1] else "PERMISSIVE"
    return {**(desired or old), "mtls": {"mode": whole}, **({"portLevelMtls": ports} if ports else {})}


def plain(live: Spec | None, desired: Spec | None) -> Spec:
    """Return a DestinationRule by which clients send plaintext, but for TLS of their own."""
    found = dict(desired or live or {"host": HOST})
    policy = dict(found.get("trafficPolicy", {}))
    if "portLevelSettings" in policy:
        policy["portLevelSettings"] = [_plain(one) for one in policy["portLevelSettings"]]
    return {**found, "trafficPolicy": _plain(policy)}


def _plain(policy: Spec) -> Spec:
    return policy if policy.get("tls", {}).get("mode") == "SIMPLE" else {**policy, "tls": {"mode": "DISABLE"}}


def choices(live: Mesh, desired: Mesh) -> Choices:
    """Return what an order of writes may choose among: live, PERMISSIVE, pinned, desired, and rules to pin with."""
    versions: dict[str, tuple[Spec | None, ...]] = {}
    for name in live:
        before, after = live[name], desired[name]
        if before == after:
            versions[name] = (before,)
        else:
            middle = plain(before, after) if name in RULES else joined(before, after)
            versions[name] = (before, middle, after)
    for name in _pins(live, desired):
        versions[name] = (None, plain(None, None), None)
    return Choices(versions)


def _pins(live: Mesh, desired: Mesh) -> Iterator[str]:
    """Yield rules that may be there for a while: beside one that stays, or where there is none at all."""
    there = [name for name in RULES if live[name] or desired[name]]
    places = [name.split("/")[1] for name in there if live[name] == desired[name]]
    if RULES[1] not in there and RULES[2] not in there:
        places.append(SERVICE)
    yield from (f"DestinationRule/{place}/safeapply-pin-web" for place in places)


def _resource(name: str, spec: Spec) -> Resource:
    kind, namespace, short = name.split("/")
    group = "security.istio.io" if kind == "PeerAuthentication" else "networking.istio.io"
    metadata = {"name": short, "namespace": namespace}
    document = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return Resource(ResourceId(group, kind, Namespace(namespace), short), document)


def _base() -> Iterator[Resource]:
    """Yield the service and what stands behind it."""
    ports = [{"name": f"http-{port}", "port": port, "targetPort": target} for port, target in PORTS.items()]
    meta = {"name": "web", "namespace": SERVICE}
    spec = {"selector": {"app": "web"}, "ports": ports}
    document = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
    yield Resource(ResourceId("", "Service", Namespace(SERVICE), "web"), document)
    for version in SERVERS:
        template = {"metadata": {"labels": {"app": "web", "version": version}}}
        meta = {"name": version, "namespace": SERVICE}
        document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"template": template}}
        yield Resource(ResourceId("apps", "Deployment", Namespace(SERVICE), version), document)


def _proxies() -> Iterator[Proxy]:
    for space in CLIENTS:
        yield Proxy(Namespace(space), "client", f"client-{space}", Role.SIDECAR, Labels(), ready=True)
    for one in SERVERS:
        labels = Labels((("app", "web"), ("version", one)))
        yield Proxy(Namespace(SERVICE), one, one, Role.SIDECAR, labels, ready=True)


def planned(live: Mesh, desired: Mesh) -> Plan:
    """Return the plan from one mesh to another."""
    before = {name: _resource(name, spec) for name, spec in live.items() if spec is not None}
    resources = {one.id: one for one in (*_base(), *before.values())}
    changes = []
    for name, spec in desired.items():
        if spec != live[name]:
            after = _resource(name, spec) if spec is not None else None
            one = after or before[name]
            changes.append(Change(one.id, before.get(name), after, after))
    return plan(resources, changes, proxies=_proxies())


def _written(step: Step) -> Mesh:
    return {
        f"{op.resource.id.kind}/{op.resource.id.namespace}/{op.resource.id.name}": (
            op.resource.spec if op.action is Action.APPLY else None
        )
        for op in step.operations
    }


STRICT: Spec = {"mtls": {"mode": "STRICT"}}
DISABLED: Spec = {"mtls": {"mode": "DISABLE"}}
NOTHING: Mesh = {**POLICIES, OWN: None, **dict.fromkeys(RULES)}


class TestEveryPlan:
    """ISTIO.md 6.5: "pin clients with DR tls DISABLE -> wait clients -> change PA -> wait servers -> unpin"."""

    @given(worlds())
    @example(({**NOTHING, f"PeerAuthentication/{SERVICE}/whole": DISABLED}, NOTHING))
    @example(
        (
            {**NOTHING, f"PeerAuthentication/{ROOT}/mesh": STRICT},
            {**NOTHING, f"PeerAuthentication/{ROOT}/mesh": DISABLED},
        )
    )
    # A pin of a rule that no file holds, and that no group of objects knows of.
    @example(
        (
            {
                **NOTHING,
                f"PeerAuthentication/{ROOT}/mesh": {"mtls": {"mode": "UNSET"}},
                f"PeerAuthentication/{SERVICE}/whole": DISABLED,
                f"DestinationRule/{SERVICE}/web": {"host": HOST},
            },
            {
                **NOTHING,
                f"PeerAuthentication/{ROOT}/mesh": STRICT,
                f"DestinationRule/{CLIENT}/web": {"host": HOST},
                f"DestinationRule/{SERVICE}/web": {"host": HOST},
            },
        )
    )
    @settings(max_examples=50, deadline=None)
    def test_exists_exactly_where_some_order_of_writes_resets_nothing(self, world: World) -> None:
        """The judge looks at every order of all versions; the planner finds one that will do, or there is none."""
        live, desired = world
        made, way = planned(live, desired), choices(live, desired).way()
        note(f"live {_there(live)}\ndesired {_there(desired)}\nway {way}\nrefused {made.refusals}")
        assert bool(made.refusals) == (way is None)

    @given(worlds())
    @settings(max_examples=50, deadline=None)
    def test_resets_no_request_that_is_served_before(self, world: World) -> None:
        """Every mixture of every step, as its own documents say it: no new pair is in conflict."""
        live, desired = world
        made = planned(live, desired)
        known, now = conflicts(at(live)), dict(live)
        for step in made.steps:
            after = {**now, **_written(step)}
            note(f"{_there(now)} -> {_there(after)}")
            assert not conflicts(between(now, after)) - known
            now = after
        assert not made.steps or _there(now) == _there(desired)


def _there(mesh: Mesh) -> Mapping[str, Spec]:
    return {name: spec for name, spec in mesh.items() if spec is not None}
