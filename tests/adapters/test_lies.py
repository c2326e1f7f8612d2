"""The table of lies: whatever an Envoy, or the way to it, makes believe, no barrier opens early.

One test for each, against a real Envoy where it can be made to lie, else against a recorded answer on a real
socket. What the report says of the proxy is the test's last line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from safeapply.adapters.addresses import Addresses
from safeapply.adapters.envoy import PortForward
from safeapply.adapters.istiod import IstiodPages
from safeapply.errors import SandboxError
from safeapply.resources.objects import Document
from safeapply.sandbox.envoys import Envoy
from safeapply.sandbox.sockets import debug_socket
from safeapply.sandbox.watching import WatchType
from safeapply.xds.expectations import ClusterAbsent, ClusterActive, ClusterUnreferenced, RouteRefers, RouteReleased
from safeapply.xds.health import HEALTH
from safeapply.xds.names import ClusterName, Host, outbound_cluster
from tests.adapters.ways import CUT, WAYS, Gate, Heard, opens, reason, telling, way
from tests.sandbox.controlplane.lab import REVIEWS, Lab, pod, read, route, rule, until

REVIEWS_HOST = Host("reviews.default.svc.cluster.local")
V1, V2, V3, V10 = (outbound_cluster(REVIEWS_HOST, 9080, f"v{number}") for number in (1, 2, 3, 10))
TUNNELS = ("port-forward", "exec")


def dump(*active: str) -> bytes:
    """Return an answer in which these clusters are active, beside the control cluster."""
    listed = [{"cluster": {"name": name}} for name in ("BlackHoleCluster", *active)]
    return json.dumps({"configs": [{"dynamic_active_clusters": listed}]}, indent=1).encode()


async def client(lab: Lab, *documents: Document) -> Gate:
    """Run reviews and a client with an Envoy that has these objects; return what leads there."""
    await lab.run_reviews("v1", "v2")
    lab.write(*read(REVIEWS), *documents)
    (envoy,) = await lab.start("client")
    await lab.settle()
    return Gate({"client": envoy.admin})


async def said_by(run: Path, *answers: tuple[str, int, bytes], removed: ClusterName = V1) -> str:
    """Return what the report says of a proxy with these answers, while a cluster shall go."""
    socket = run / "admin.sock"
    async with telling(socket, "client", *answers), way("url", Gate({"client": socket})) as proxies:
        return await reason(proxies, "client", ClusterAbsent(removed), ClusterUnreferenced(removed))


@pytest.mark.parametrize("name", WAYS)
async def test_every_way_tells_the_truth_first(lab: Lab, name: str) -> None:
    """Without a lie the barriers open: what is there is there, what is not is not, whatever the way."""
    gate = await client(lab, rule("v1", "v10"), route("v1"))
    async with way(name, gate) as proxies:
        await opens(proxies, "client", ClusterActive(V1, ready_endpoint=True), RouteRefers(REVIEWS_HOST, V1))
        await opens(proxies, "client", ClusterAbsent(V2), ClusterUnreferenced(V10))
        assert await reason(proxies, "client", ClusterActive(V2)) == f"has no cluster {V2} yet"


async def test_an_unescaped_pipe(lab: Lab) -> None:
    """As an alternation the name would match ``v1`` and ``v10``; escaped it matches itself, which is not there."""
    gate = await client(lab, rule("v1", "v10"), route("v1"))
    async with way("url", gate) as proxies:
        assert await reason(proxies, "client", ClusterActive(ClusterName("outbound|.*"))) == (
            "has no cluster outbound|.* yet"
        )


async def test_an_answer_with_other_clusters_than_asked_for(run: Path) -> None:
    """What an unescaped question would be answered with counts by exact name only."""
    answer = ("clusters", 200, dump(V10, f"x{V2}"))
    gate = Gate({"client": run / "admin.sock"})
    async with telling(gate.sockets["client"], "client", answer), way("url", gate) as proxies:
        assert await reason(proxies, "client", ClusterActive(V2)) == f"has no cluster {V2} yet"


async def test_an_empty_answer(run: Path) -> None:
    """``{}`` is what Envoy says of a cluster that is gone, and of much else."""
    assert await said_by(run) == (
        "cannot be read: the answer lacks BlackHoleCluster: this Envoy has no configuration yet"
    )


async def test_text_instead_of_json(run: Path) -> None:
    """Envoy answers so, with status 200, when it cannot put a message into JSON."""
    said = await said_by(run, ("clusters", 200, b"Failed to convert protobuf message to JSON string"))
    assert said == (
        "cannot be read: the admin port answered what is not a config dump: "
        "'Failed to convert protobuf message to JSON string'"
    )


async def test_a_truncated_body(run: Path) -> None:
    """Cut by the network: the length tells. Cut by whoever counts anew: the JSON does."""
    assert (await said_by(run, ("clusters", CUT, dump()))).startswith(
        "cannot be reached: the connection was closed before the answer was whole"
    )
    whole = dump(V2)
    said = await said_by(run, ("clusters", 200, whole[: len(whole) // 2]))
    assert said.startswith("cannot be read: the admin port answered what is not a config dump: ")


@pytest.mark.parametrize("name", TUNNELS)
async def test_an_api_server_that_refuses(lab: Lab, name: str) -> None:
    """503 from the API server says nothing about the proxy."""
    gate = await client(lab, rule("v1"), route("v1"))
    gate.refuses = 503
    async with way(name, gate) as proxies:
        said = await reason(proxies, "client", ClusterAbsent(V2))
    assert said == f"cannot be reached: the API server refused the {name} with HTTP 503"


@pytest.mark.parametrize("name", TUNNELS)
async def test_a_websocket_that_closes_half_way(lab: Lab, name: str) -> None:
    """What had come until then is no answer, also where its end happens to look like one."""
    gate = await client(lab, rule("v1"), route("v1"))
    gate.cuts = True
    async with way(name, gate) as proxies:
        said = await reason(proxies, "client", ClusterAbsent(V2))
    assert said == f"cannot be reached: the API server closed the {name} before the answer was whole"


async def test_another_pod_behind_a_reused_address(lab: Lab) -> None:
    """Whoever answers is asked for its name before it is believed."""
    await client(lab, rule("v1"), route("v1"))
    (envoy,) = lab.envoys.running
    async with way("url", Gate({"gone": envoy.admin})) as proxies:
        said = await reason(proxies, "gone", ClusterAbsent(V2))
    assert said == (
        f"cannot be reached: client.default answers at unix://{envoy.admin}: the address belongs to another proxy "
        "by now"
    )


async def test_a_pod_without_an_address() -> None:
    """It is not passed over."""
    said = await reason(Addresses({}), "client", ClusterAbsent(V2))
    assert said == "cannot be reached: the file of addresses has no line for default/client"


async def test_a_restarted_envoy_with_an_empty_configuration(lab: Lab) -> None:
    """It has no route to what shall go, and will have one a moment later."""
    starting = asyncio.create_task(lab.envoys.start(pod("client", "10.2.0.1", {}, role="sidecar"), lab.run / "no"))
    with contextlib.suppress(SandboxError, asyncio.CancelledError):
        await until(lambda: _answers(lab), "the Envoy did not start")
        (envoy,) = lab.envoys.running
        async with way("url", Gate({"client": envoy.admin})) as proxies:
            said = await reason(proxies, "client", ClusterAbsent(V1), ClusterUnreferenced(V1))
        assert said == (
            "cannot be read: this Envoy has not had its first whole configuration yet: 'PRE_INITIALIZING'"
        )
        starting.cancel()
        await starting


async def _answers(lab: Lab) -> Envoy | None:
    envoy = next(iter(lab.envoys.running), None)
    return envoy if envoy is not None and envoy.admin.exists() else None


async def test_a_restarted_envoy_between_its_clusters_and_its_listeners(run: Path) -> None:
    """The control cluster is there, and no listener wants a route yet."""
    said = await said_by(run, ("clusters", 200, dump()), ("/ready", 503, b"INITIALIZING\n"))
    assert said == "cannot be read: this Envoy has not had its first whole configuration yet: 'INITIALIZING'"


async def test_a_warming_cluster(lab: Lab) -> None:
    """It is listed, and the data path does not know it (ENVOY.md 2)."""
    gate = await client(lab, rule("v1"), route("v1"))
    lab.plane.withhold_eds([V2])
    lab.write(rule("v1", "v2"))
    async with way("port-forward", gate) as proxies:
        said = await reason(proxies, "client", ClusterActive(V2))
        assert said == f"cluster {V2} is still warming: its endpoints have not arrived"
        lab.plane.release_eds()
        await opens(proxies, "client", ClusterActive(V2))


async def test_an_updated_cluster_whose_old_copy_is_active(lab: Lab) -> None:
    """The same name is in both lists, and it is the old one that serves."""
    gate = await client(lab, rule("v1"), route("v1"))
    lab.plane.withhold_eds([V1])
    lab.write(rule("v1", trafficPolicy={"connectionPool": {"tcp": {"connectTimeout": "3s"}}}))
    async with way("port-forward", gate) as proxies:
        said = await reason(proxies, "client", ClusterActive(V1))
        assert said == f"cluster {V1} is still warming: its endpoints have not arrived"
        assert "warming" not in await reason(proxies, "client", ClusterAbsent(V1))


async def test_a_cluster_update_that_was_refused_in_part(lab: Lab) -> None:
    """The good half is there, under the version of the whole; the other half is told as refused, at once."""
    gate = await client(lab, rule("v1"), route("v1"))
    lab.plane.corrupt("client.default", "CDS", V3)
    async with way("port-forward", gate) as proxies:
        both = (ClusterActive(V2), ClusterActive(V3))
        waiting = asyncio.create_task(reason(heard := Heard(proxies), "client", *both, patience=2.5))
        await until(lambda: HEALTH in heard.answered, "the counters are not looked at")
        lab.write(rule("v1", "v2", "v3"))
        assert await waiting == f"rejected CDS; has no cluster {V3} yet"
        await opens(proxies, "client", ClusterActive(V2))


async def test_a_refused_route(lab: Lab) -> None:
    """Envoy keeps the old one, and tells of no other: its content does, and istiod says why."""
    gate = await client(lab, rule("v1", "v2"), route("v1"))
    gate.sockets = {**gate.sockets, "istiod-0": debug_socket(lab.run, lab.plane.replica_of("client.default"))}
    lab.plane.corrupt("client.default", "RDS")
    lab.write(route("v2"))
    await until(lambda: lab.plane.nacks, "nothing was refused")
    async with gate.serving() as connection, AsyncExitStack() as stack:
        proxies, pages = PortForward(connection), IstiodPages(connection)
        for one in (proxies, pages):
            stack.push_async_callback(one.close)
        said = await reason(proxies, "client", ClusterUnreferenced(V1))
        assert said == f"route configuration 9080 still names {V1}"
        said = await reason(proxies, "client", RouteReleased(REVIEWS_HOST, V1))
        assert said == f"the route of {REVIEWS_HOST} in route configuration 9080 still names {V1}"
        moved = RouteRefers(REVIEWS_HOST, V2)
        said = await reason(proxies, "client", moved, patience=2.5, istiods=pages)
    assert said == (
        "rejected RDS (Only a single wildcard domain is permitted in route 9080); "
        f"the route of {REVIEWS_HOST} does not name {V2} yet"
    )


async def test_a_refused_listener(lab: Lab) -> None:
    """The one type of which Envoy keeps why."""
    gate = await client(lab, *bytes_to("v1"))
    lab.plane.corrupt("client.default", "LDS")
    async with way("port-forward", gate) as proxies:
        moved = RouteRefers(None, V2)
        waiting = asyncio.create_task(reason(heard := Heard(proxies), "client", moved, patience=2.5))
        await until(lambda: HEALTH in heard.answered, "the counters are not looked at")
        lab.write(*bytes_to("v2"))
        said = await waiting
    assert re.fullmatch(rf"rejected LDS \(10\.96\.0\.5_9080: .+\); no listener names {re.escape(V2)} yet", said)


async def test_a_draining_listener(lab: Lab) -> None:
    """Its connections are served for as long as it drains, by the cluster that shall go."""
    gate = await client(lab, *bytes_to("v1"))
    service, _, way_there = bytes_to("v1")
    lab.write(service, way_there, type=WatchType.DELETED)
    await lab.settle()
    async with way("port-forward", gate) as proxies:
        said = await reason(proxies, "client", ClusterUnreferenced(V1))
    assert said == f"listener 10.96.0.5_9080 (draining) still names {V1}"


async def test_a_subset_whose_name_begins_like_another(lab: Lab) -> None:
    """``v10`` is not ``v1``: neither where one shall be there, nor where one shall be gone."""
    gate = await client(lab, rule("v10"), route("v10"))
    async with way("port-forward", gate) as proxies:
        assert await reason(proxies, "client", ClusterActive(V1)) == f"has no cluster {V1} yet"
        await opens(proxies, "client", ClusterAbsent(V1), ClusterUnreferenced(V1), RouteReleased(REVIEWS_HOST, V1))
        assert await reason(proxies, "client", ClusterAbsent(V10)) == f"still has cluster {V10}"


async def test_a_host_of_200_characters(lab: Lab) -> None:
    """One name alone is longer than Envoy's own limit on expressions; Istio's bootstrap lifts it."""
    host = Host(".".join(("a" * 49, "b" * 49, "c" * 49, "d" * 50)))
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "long", "namespace": "default"},
        "spec": {
            "hosts": [host],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "resolution": "STATIC",
            "endpoints": [{"address": "10.1.0.1"}],
        },
    }
    gate = await client(lab, entry, route("v1"))
    assert len(host) == 200
    async with way("port-forward", gate) as proxies:
        await opens(proxies, "client", ClusterActive(outbound_cluster(host, 80)))
        missing = outbound_cluster(host, 80, "v1")
        assert await reason(proxies, "client", ClusterActive(missing)) == f"has no cluster {missing} yet"


async def test_700_names_at_once(lab: Lab) -> None:
    """They take several questions; one that is missing keeps the barrier closed."""
    subsets = [f"v{number}" for number in range(700)]
    gate = await client(lab, rule(*subsets), route("v1"))
    expected = [ClusterActive(outbound_cluster(REVIEWS_HOST, 9080, subset)) for subset in (*subsets, "v700")]
    async with way("port-forward", gate) as proxies:
        await opens(proxies, "client", *expected[:700])
        said = await reason(proxies, "client", *expected, patience=2.0)
        assert said == f"has no cluster {expected[-1].cluster} yet"


async def test_a_proxy_that_has_lost_istiod(lab: Lab) -> None:
    """It goes on with what it has, and nothing that is waited for will come."""
    gate = await client(lab, rule("v1"), route("v1"))
    lab.plane.drop("client.default")
    await until(lambda: not lab.plane.proxies, "the stream did not end")
    lab.write(rule("v1", "v2"))
    async with way("port-forward", gate) as proxies:
        said = await reason(proxies, "client", ClusterActive(V2))
    assert said == f"is not connected to istiod; has no cluster {V2} yet"


@pytest.mark.parametrize("name", TUNNELS)
async def test_a_pod_that_is_gone(lab: Lab, name: str) -> None:
    """Nothing answers behind the API server."""
    gate = await client(lab, rule("v1"), route("v1"))
    gate.sockets = {"client": lab.run / "nobody"}
    gate.agent = "connection refused"
    async with way(name, gate) as proxies:
        said = await reason(proxies, "client", ClusterAbsent(V2))
    assert said.startswith("cannot be reached: ")


def bytes_to(subset: str) -> list[Document]:
    """Return reviews as a TCP service whose bytes go to one subset."""
    service = read(REVIEWS.replace("name: http", "name: tcp").replace("selector", "clusterIP: 10.96.0.5, selector"))
    way_there = route(subset, tcp=[{"route": [{"destination": {"host": "reviews", "subset": subset}}]}], http=[])
    return [*service, rule("v1", "v2"), way_there]
