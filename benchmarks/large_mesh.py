"""A real Envoy with thousands of clusters, as istiod would give it, and updates that are timed to the answer."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safeapply.sandbox.controlplane.sessions import Request, Response, Xds
from safeapply.sandbox.controlplane.wire import AdsServer, Encoder, Peer
from safeapply.sandbox.envoys import Envoys

__all__ = ["CLUSTERS", "POD", "LargeMesh", "cluster_name", "large_mesh"]

SERVICES, SUBSETS, PORTS = 250, 20, 20
CLUSTERS = SERVICES * SUBSETS
READY_SECONDS = 120.0
POD = {
    "metadata": {"name": "client", "namespace": "default", "labels": {}},
    "spec": {"containers": [{"name": "istio-proxy", "args": ["proxy", "sidecar"]}]},
    "status": {"podIP": "10.2.0.1"},
}
HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
ADS: Mapping[str, Any] = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
Json = dict[str, Any]


def cluster_name(service: int, subset: int | str) -> str:
    """Return the name of one subset's cluster; subset 0 to 19 of service 0 to 249 is there."""
    return f"outbound|{9000 + service % PORTS}|v{subset}|{_host(service)}"


@dataclass
class LargeMesh:
    """A control plane that knows one large configuration, and the Envoy that has it."""

    run: Path
    admin: Path = Path()
    _send: Callable[[Any], None] | None = None
    _encoder: Encoder = field(default_factory=Encoder)
    _count: Any = field(default_factory=itertools.count)
    _answers: dict[str, asyncio.Future[float]] = field(default_factory=dict)
    _resources: Mapping[Xds, Mapping[str, Json]] = field(default_factory=dict)

    def connect(self, _: Peer, send: Callable[[Any], None]) -> LargeMesh:
        """Take the Envoy's stream."""
        self._send = send
        return self

    def receive(self, request: Request) -> None:
        """Answer what is asked for, and note what is confirmed."""
        if request.nonce in self._answers:
            self._answers[request.nonce].set_result(time.perf_counter())
        if request.type is Xds.EDS:
            self._respond(Xds.EDS, {name: _endpoints(name) for name in request.subscribe})
        elif not request.nonce or request.subscribe:
            known = self._resources[request.type]
            wanted = known.keys() if not request.subscribe else request.subscribe & known.keys()
            self._respond(request.type, {name: known[name] for name in wanted})

    def closed(self) -> None:
        """Do nothing: it is over."""

    async def update_seconds(self, name: str) -> float:
        """Add or change a cluster, and return how long its Envoy took to confirm it, with its endpoints."""
        nonce = self._respond(Xds.CDS, {name: _cluster(name)})
        answer = self._answers[nonce] = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        return await answer - begun

    def _respond(self, kind: Xds, resources: Mapping[str, Json]) -> str:
        nonce = str(next(self._count))
        assert self._send is not None
        self._send(self._encoder.response(Response(kind, nonce, resources), nonce))
        return nonce


@asynccontextmanager
async def large_mesh() -> AsyncIterator[LargeMesh]:
    """Run an Envoy with 5,000 clusters and 20 route configurations that name them all."""
    run = Path(tempfile.mkdtemp(prefix="sa-"))
    mesh = LargeMesh(run, _resources=_resources())
    server = AdsServer(run / "ads.sock", mesh.connect)
    await server.start()
    try:
        async with Envoys(run=run) as envoys:
            mesh.admin = (await envoys.start(POD, run / "ads.sock", deadline=READY_SECONDS)).admin
            yield mesh
    finally:
        await server.stop()
        shutil.rmtree(run, ignore_errors=True)


def _resources() -> Mapping[Xds, Mapping[str, Json]]:
    names = [cluster_name(service, subset) for service in range(SERVICES) for subset in range(SUBSETS)]
    ports = [str(9000 + port) for port in range(PORTS)]
    return {
        Xds.CDS: {"BlackHoleCluster": _black_hole()} | {name: _cluster(name) for name in names},
        Xds.LDS: {f"0.0.0.0_{port}": _listener(port) for port in ports},
        Xds.RDS: {port: _route_config(index, port) for index, port in enumerate(ports)},
    }


def _host(service: int) -> str:
    return f"service-{service}.default.svc.cluster.local"


def _black_hole() -> Json:
    return {"name": "BlackHoleCluster", "type": "STATIC", "connect_timeout": "10s"}


def _cluster(name: str) -> Json:
    _, port, subset, host = name.split("|")
    most = {"max_connections": 2**32 - 1, "max_pending_requests": 2**32 - 1, "max_requests": 2**32 - 1}
    place = "/apis/networking.istio.io/v1/namespaces/default/destination-rule"
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": ADS, "service_name": name},
        "connect_timeout": "10s",
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {"thresholds": [{**most, "max_retries": 2**32 - 1, "track_remaining": True}]},
        "common_lb_config": {"locality_weighted_lb_config": {}},
        "metadata": {
            "filter_metadata": {
                "istio": {
                    "config": f"{place}/{host.partition('.')[0]}",
                    "default_original_port": int(port),
                    "services": [{"host": host, "name": host.partition(".")[0], "namespace": "default"}],
                    "subset": subset,
                }
            }
        },
    }


def _endpoints(name: str) -> Json:
    address = {"pipe": {"path": "backend.sock"}}
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}


def _listener(port: str) -> Json:
    manager = {
        "@type": HCM,
        "stat_prefix": f"outbound_0.0.0.0_{port}",
        "rds": {"route_config_name": port, "config_source": ADS},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "name": f"0.0.0.0_{port}",
        "address": {"pipe": {"path": f"l{port}.sock"}},
        "filter_chains": [{"filters": filters}],
    }


def _route_config(index: int, port: str) -> Json:
    hosts = [_virtual_host(service, port) for service in range(index, SERVICES, PORTS)]
    return {"name": port, "virtual_hosts": hosts, "validate_clusters": False}


def _virtual_host(service: int, port: str) -> Json:
    host = _host(service)
    weights = [{"name": cluster_name(service, subset), "weight": 5} for subset in range(SUBSETS)]
    short = [host.rsplit(".", cut)[0] for cut in range(5)]
    return {
        "name": f"{host}:{port}",
        "domains": [*short, *(f"{name}:{port}" for name in short)],
        "routes": [{"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": weights}}}],
    }
