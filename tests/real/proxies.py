"""The Envoy of a pod: what Istio's agent would write for it, and how it is run, drained and ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safeapply.resources.objects import Document
from safeapply.sandbox.bootstrap import node_id, role_of_pod
from safeapply.sandbox.envoys import envoy_binary
from safeapply.sandbox.names import HOME, PROXY_CONTAINER, SDS_CLUSTER, service_account
from tests.real.controlplane import HOST
from tests.real.namespaces import PROXY_GROUP, client_socket

__all__ = ["ADMIN", "SDS_PORT", "XDS_PORT", "Proxy", "has_redirect", "is_live"]

ADMIN: Final = 15000
XDS_PORT, SDS_PORT = 15010, 15099
HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
DRAIN: Final = 5.0
"""Seconds from SIGTERM to the end of the Envoy: Istio's ``terminationDrainDuration``."""
ISTIO_DRAIN: Final = "45"
"""Istio's ``drainDuration``."""


class Proxy:
    """One Envoy that runs."""

    def __init__(self, process: asyncio.subprocess.Process, network: int) -> None:
        self.process = process
        self._network = network

    @classmethod
    async def start(cls, pod: Document, *, ip: str, network: int, directory: Path, istio: str) -> Proxy:
        """Start the Envoy of a pod in its network."""
        configuration = _written(bootstrap(pod, ip, istio), directory)
        command = (
            *("nsenter", "--net", "--target", str(network), "--"),
            *("setpriv", "--regid", PROXY_GROUP, "--clear-groups", "--"),
            *(str(envoy_binary()), "--config-path", str(configuration), "--concurrency", "1"),
            *("--disable-hot-restart", "--log-level", "warning", "--drain-time-s", ISTIO_DRAIN),
            *("--drain-strategy", "immediate"),
        )
        with (directory / "envoy.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        (directory / "envoy.pid").write_text(str(process.pid))
        return cls(process, network)

    async def drain(self) -> None:
        """End as Istio's agent does on SIGTERM: drain the listeners, wait, kill."""
        await _admin(self._network, "POST", "/drain_listeners?inboundonly&graceful")
        await asyncio.sleep(DRAIN)
        self.kill()

    def kill(self) -> None:
        """End at once."""
        if self.process.returncode is None:
            self.process.kill()


def _written(configuration: Mapping[str, Any], directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "envoy.json"
    file.write_text(json.dumps(configuration, indent=1))
    return file


async def is_live(network: int) -> bool:
    """Tell whether the Envoy in a network has its first whole configuration."""
    return await _admin(network, "GET", "/ready") == 200


async def _admin(network: int, method: str, path: str) -> int:
    loop, client = asyncio.get_running_loop(), client_socket(network)
    try:
        await loop.sock_connect(client, ("127.0.0.1", ADMIN))
        request = f"{method} {path} HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        await loop.sock_sendall(client, request.encode())
        said = await loop.sock_recv(client, 64)
        return int(said[9:12] or b"0")
    except OSError:
        return 0
    finally:
        client.close()


def bootstrap(pod: Document, ip: str, istio: str) -> Mapping[str, Any]:
    """Return the static half of a pod's configuration, as far as istiod and Envoy need it."""
    document = {**pod, "status": {**(pod.get("status") or {}), "podIP": ip}}
    ads = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {
        "node": _node(document, ip, istio),
        "admin": {"address": _address("127.0.0.1", ADMIN)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
                "set_node_on_first_message_only": True,
            },
            "cds_config": ads,
            "lds_config": ads,
        },
        "static_resources": {
            "clusters": [_grpc_cluster("xds-grpc", XDS_PORT), _grpc_cluster(SDS_CLUSTER, SDS_PORT)],
        },
        "layered_runtime": {
            "layers": [
                {
                    "name": "static",
                    "static_layer": {
                        "re2.max_program_size.error_level": 32768,
                        "envoy.reloadable_features.http_reject_path_with_fragment": False,
                    },
                }
            ]
        },
    }


def _node(pod: Document, ip: str, istio: str) -> Mapping[str, Any]:
    metadata = pod["metadata"]
    labels = dict(metadata.get("labels") or {})
    ports = [
        {"name": port.get("name", ""), "containerPort": port["containerPort"], "protocol": "TCP"}
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
    ]
    return {
        "id": node_id(pod),
        "cluster": f"{labels.get('app', metadata['name'])}.{metadata['namespace']}",
        "metadata": {
            "NAME": metadata["name"],
            "NAMESPACE": metadata["namespace"],
            "CLUSTER_ID": HOME,
            "ISTIO_VERSION": istio,
            "LABELS": labels,
            "INSTANCE_IPS": ip,
            "INTERCEPTION_MODE": "REDIRECT",
            "SERVICE_ACCOUNT": service_account(pod),
            "WORKLOAD_NAME": labels.get("app", metadata["name"]),
            "MESH_ID": "cluster.local",
            "POD_PORTS": json.dumps(ports),
            "APP_CONTAINERS": ",".join(
                container["name"] for container in pod["spec"]["containers"] if container["name"] != PROXY_CONTAINER
            ),
        },
    }


def _grpc_cluster(name: str, port: int) -> Mapping[str, Any]:
    options = {
        "@type": f"type.googleapis.com/{HTTP_OPTIONS}",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(HOST, port)}}]}],
        },
        "typed_extension_protocol_options": {HTTP_OPTIONS: options},
    }


def _address(ip: str, port: int) -> Mapping[str, Any]:
    return {"socket_address": {"address": ip, "port_value": port}}


def has_redirect(pod: Document) -> bool:
    """Tell whether a pod's traffic goes through its Envoy: a gateway's does not."""
    return role_of_pod(pod) == "sidecar"
