"""What servers accept and what clients send: one test for each rule of ISTIO.md 6."""

from __future__ import annotations

from textwrap import dedent

import pytest

from safeapply.istio.declarations import declare
from safeapply.istio.handshakes import Handshakes
from safeapply.istio.kinds import Declaration
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.snapshot import snapshot_of
from safeapply.istio.tls import Mode, Sent, accepts
from safeapply.istio.view import Views
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import Host

WEB = Host("web.default.svc.cluster.local")
SHOP = ProxyClass(Role.SIDECAR, Namespace("shop"))
SERVICE = """
{apiVersion: v1, kind: Service, metadata: {name: web},
 spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}}
"""


def snapshot(text: str, *more: str, mesh: MeshSettings | None = None) -> Handshakes:
    """Return the handshakes of a mesh; where several texts have one object, a proxy may see any of them."""
    mesh = mesh or MeshSettings()
    versions: dict[ResourceId, tuple[Declaration | None, ...]] = {}
    for part in (text, *more):
        for one in read_manifests((SourceText("mesh.yaml", dedent(part)),), default_namespace=Namespace("default")):
            seen = declare(one, created=one.created, mesh=mesh)
            versions[one.id] = (*versions.get(one.id, ()), seen)
    return Handshakes(Views(snapshot_of(versions, mesh)))


def policy(mode: str, *, name: str = "it", namespace: str = "default", more: str = "", born: int = 0) -> str:
    """Return a PeerAuthentication."""
    return dedent(f"""
        ---
        apiVersion: security.istio.io/v1
        kind: PeerAuthentication
        metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: "2026-01-01T00:00:0{born}Z"}}
        spec: {{mtls: {{mode: {mode}}}{more}}}
        """)


def rule(spec: str, *, name: str = "web", namespace: str = "default", born: int = 0) -> str:
    """Return a DestinationRule of the service."""
    return dedent(f"""
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: "2026-01-01T00:00:0{born}Z"}}
        spec: {{host: {WEB}, {spec}}}
        """)


def modes(shakes: Handshakes) -> set[Mode]:
    """Return what the service's pods may accept."""
    return {accepted.mode for shake in shakes.of(SHOP, WEB) for accepted in shake.accepted}


def sent(shakes: Handshakes, subset: str = "") -> set[Sent]:
    """Return what clients of namespace shop may send."""
    return {one.sent for shake in shakes.of(SHOP, WEB) if shake.subset == subset for one in shake.sendings}


BARE = """
---
{apiVersion: v1, kind: Pod, metadata: {name: web-1, labels: {app: web}}, spec: {containers: [{name: web}]},
 status: {conditions: [{type: Ready, status: 'True'}]}}
"""
PORT = "portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]"
OWN = ", selector: {matchLabels: {app: web}}"
OTHER = ", selector: {matchLabels: {app: db}}"


@pytest.mark.parametrize(
    ("policies", "mode"),
    [
        pytest.param("", Mode.PERMISSIVE, id="the default"),
        pytest.param(policy("STRICT", namespace="istio-system"), Mode.STRICT, id="the mesh's"),
        pytest.param(
            policy("STRICT", namespace="istio-system") + policy("DISABLE"),
            Mode.DISABLE,
            id="the namespace's before the mesh's",
        ),
        pytest.param(
            policy("STRICT") + policy("DISABLE", name="own", more=OWN), Mode.DISABLE, id="the workload's first"
        ),
        pytest.param(policy("STRICT", more=OTHER), Mode.PERMISSIVE, id="another workload's not at all"),
        pytest.param(
            policy("STRICT", namespace="istio-system") + policy("UNSET"), Mode.STRICT, id="UNSET as the wider one"
        ),
        pytest.param(
            policy("DISABLE", name="a", born=2) + policy("STRICT", name="b", born=1),
            Mode.STRICT,
            id="the oldest of one level",
        ),
        pytest.param(
            policy("STRICT", namespace="istio-system", more=OWN), Mode.PERMISSIVE, id="no selector for the mesh"
        ),
        pytest.param(
            policy("STRICT", more=f"{OWN}, portLevelMtls: {{8080: {{mode: DISABLE}}}}"),
            Mode.DISABLE,
            id="portLevelMtls by the workload's port",
        ),
        pytest.param(
            policy("STRICT", more=f"{OWN}, portLevelMtls: {{80: {{mode: DISABLE}}}}"),
            Mode.STRICT,
            id="portLevelMtls not by the service's port",
        ),
        pytest.param(
            policy("STRICT", more=", portLevelMtls: {8080: {mode: DISABLE}}"),
            Mode.STRICT,
            id="portLevelMtls only with a selector",
        ),
    ],
)
def test_what_a_server_accepts(policies: str, mode: Mode) -> None:
    """ISTIO.md 6.1: workload, then namespace, then mesh; the oldest of a level; UNSET inherits."""
    assert modes(snapshot(SERVICE + "---" + policies)) == {mode}


def test_a_workload_of_the_root_namespace_has_no_policy_of_its_own() -> None:
    """ISTIO.md 6.1: policies with a selector are ignored there."""
    service = SERVICE.replace("name: web}", "name: web, namespace: istio-system}")
    shakes = snapshot(service + policy("STRICT", namespace="istio-system", more=OWN))
    host = Host("web.istio-system.svc.cluster.local")
    assert [one.mode for shake in shakes.of(SHOP, host) for one in shake.accepted] == [Mode.PERMISSIVE]


def test_a_pod_without_a_sidecar_takes_no_mtls() -> None:
    """ISTIO.md 6.2: its endpoint is not marked, and no policy makes an Envoy of it."""
    shakes = snapshot(SERVICE + BARE + policy("STRICT"))
    assert (modes(shakes), sent(shakes)) == ({Mode.DISABLE}, {Sent.PLAINTEXT})


@pytest.mark.parametrize("label", ["", ", security.istio.io/tlsMode: disabled"], ids=["no label", "disabled"])
def test_a_sidecar_without_the_injectors_mark_is_sent_plaintext(label: str) -> None:
    """Clients go by the label alone, while the Envoy enforces what the policy says: STRICT cuts them off."""
    labelled = BARE.replace("app: web}", f"app: web{label}}}")
    pod = labelled.replace("{name: web}]", "{name: web}, {name: istio-proxy}]")
    shakes = snapshot(SERVICE + pod + policy("STRICT"))
    assert (modes(shakes), sent(shakes)) == ({Mode.STRICT}, {Sent.PLAINTEXT})


@pytest.mark.parametrize(
    ("objects", "found"),
    [
        pytest.param("", Sent.MTLS, id="automatic"),
        pytest.param(policy("DISABLE"), Sent.PLAINTEXT, id="automatic, to a namespace of DISABLE"),
        pytest.param(policy("DISABLE", more=OWN), Sent.PLAINTEXT, id="automatic, to a workload of DISABLE"),
        pytest.param(
            policy("DISABLE") + policy("STRICT", name="own", more=OWN),
            Sent.PLAINTEXT,
            id="automatic looks at the namespace first",
        ),
        pytest.param(rule("trafficPolicy: {tls: {mode: DISABLE}}"), Sent.PLAINTEXT, id="DISABLE"),
        pytest.param(
            rule("trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}") + policy("DISABLE"), Sent.MTLS, id="ISTIO_MUTUAL"
        ),
        pytest.param(rule("trafficPolicy: {tls: {mode: SIMPLE}}"), Sent.OWN_TLS, id="SIMPLE"),
        pytest.param(rule("trafficPolicy: {tls: {mode: MUTUAL}}"), Sent.OWN_TLS, id="MUTUAL"),
        pytest.param(
            rule("trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}"),
            Sent.MTLS,
            id="a policy without tls is automatic",
        ),
        pytest.param(
            rule(f"trafficPolicy: {{tls: {{mode: DISABLE}}, {PORT}}}"),
            Sent.OWN_TLS,
            id="the port's settings",
        ),
        pytest.param(
            rule("trafficPolicy: {tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 80}}]}"),
            Sent.PLAINTEXT,
            id="a port's settings hide the rule's from the cluster, and not from the endpoints",
        ),
        pytest.param(
            rule("trafficPolicy: {tls: {mode: DISABLE}}", namespace="shop", born=2)
            + rule("trafficPolicy: {tls: {mode: SIMPLE}}"),
            Sent.PLAINTEXT,
            id="the client's namespace first",
        ),
        pytest.param(
            rule("subsets: []", name="a") + rule("trafficPolicy: {tls: {mode: SIMPLE}}", name="b", born=1),
            Sent.OWN_TLS,
            id="of merged rules the oldest that has a policy",
        ),
        pytest.param(
            rule("trafficPolicy: {}", name="a") + rule("trafficPolicy: {tls: {mode: SIMPLE}}", name="b", born=1),
            Sent.MTLS,
            id="of merged rules one policy as a whole",
        ),
    ],
)
def test_what_a_client_sends(objects: str, found: Sent) -> None:
    """ISTIO.md 6.2, 6.3: the effective DestinationRule's mode, and else mTLS to whoever accepts it."""
    assert sent(snapshot(SERVICE + "---" + objects)) == {found}


def test_a_subset_has_its_own_tls_or_that_of_its_rule() -> None:
    """ISTIO.md 6.3: subset over rule, and settings of the port over both."""
    port = "portLevelSettings: [{port: {number: 80}, tls: {mode: ISTIO_MUTUAL}}]"
    subsets = (
        "{name: plain, trafficPolicy: {tls: {mode: DISABLE}}}",
        "{name: inherits}",
        f"{{name: port, trafficPolicy: {{tls: {{mode: DISABLE}}, {port}}}}}",
    )
    shakes = snapshot(SERVICE + rule(f"trafficPolicy: {{tls: {{mode: SIMPLE}}}}, subsets: [{', '.join(subsets)}]"))
    assert [sent(shakes, name) for name in ("plain", "inherits", "port")] == [
        {Sent.PLAINTEXT},
        {Sent.OWN_TLS},
        {Sent.MTLS},
    ]


def test_automatic_mtls_can_be_off_for_the_mesh() -> None:
    """ISTIO.md 6.2: ``enableAutoMtls: false``."""
    assert sent(snapshot(SERVICE, mesh=MeshSettings(auto_mtls=False))) == {Sent.PLAINTEXT}


def test_a_headless_service_has_one_answer_for_all_its_pods() -> None:
    """ISTIO.md 6.2: DISABLE if any endpoint has no sidecar; and its endpoints are not marked."""
    headless = SERVICE.replace("selector:", "clusterIP: None, selector:")
    strict = snapshot(headless + policy("DISABLE", more=OWN))
    assert sent(strict) == {Sent.MTLS}
    assert sent(snapshot(headless + BARE)) == {Sent.PLAINTEXT}


def test_cluster_and_endpoints_may_be_of_different_moments() -> None:
    """ISTIO.md 6.2: one change reaches a client twice, and its server at a third moment."""
    shakes = snapshot(SERVICE + policy("DISABLE"), policy("PERMISSIVE"))
    assert sent(shakes) == {Sent.PLAINTEXT, Sent.MTLS}
    assert modes(shakes) == {Mode.DISABLE, Mode.PERMISSIVE}
    (conflict,) = shakes.conflicts(SHOP, WEB)
    assert (conflict.sending.sent, conflict.accepted.mode) == (Sent.MTLS, Mode.DISABLE)


def test_waypoints_take_no_word_of_a_rule() -> None:
    """ISTIO.md 6.7."""
    shakes = snapshot(SERVICE + policy("STRICT") + rule("trafficPolicy: {tls: {mode: DISABLE}}"))
    assert shakes.of(ProxyClass(Role.WAYPOINT, Namespace("default")), WEB) == ()


def test_a_host_outside_the_mesh_is_nobodys_to_judge() -> None:
    """ISTIO.md 6.2: meshExternal has no automatic mTLS, and no PeerAuthentication."""
    entry = f"""
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {{name: web}}
        spec: {{hosts: [{WEB}], location: MESH_EXTERNAL, ports: [{{number: 80, name: http, protocol: HTTP}}]}}
    """
    assert snapshot(entry).of(SHOP, WEB) == ()


@pytest.mark.parametrize(
    ("mode", "refused"),
    [
        (Mode.STRICT, {Sent.PLAINTEXT, Sent.OWN_TLS}),
        (Mode.PERMISSIVE, set[Sent]()),
        (Mode.DISABLE, {Sent.MTLS}),
    ],
)
def test_the_matrix(mode: Mode, refused: set[Sent]) -> None:
    """ISTIO.md 6.4."""
    assert {one for one in Sent if not accepts(mode, one)} == refused
