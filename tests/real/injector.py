"""Stands in for Istio's injector: a mutating webhook that gives pods a proxy of the default revision."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from safeapply.resources.objects import Document
from safeapply.sandbox.names import INJECT, PROXY_CONTAINER, TLS_MODE
from tests.real.controlplane import HOST

__all__ = ["INJECTOR", "configuration", "injected", "serve_injector"]

PORT: Final = 15443
INJECTOR: Final = "injector"
"""The name of its certificate."""
STATUS: Final = "sidecar.istio.io/status"


def configuration(authority: bytes) -> Document:
    """Return what lets the API server ask the injector about pods of namespaces that want it."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "istio-sidecar-injector"},
        "webhooks": [
            {
                "name": "rev.namespace.sidecar-injector.istio.io",
                "clientConfig": {
                    "url": f"https://{HOST}:{PORT}/inject",
                    "caBundle": base64.b64encode(authority).decode(),
                },
                "rules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                ],
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "namespaceSelector": {"matchLabels": {"istio-injection": "enabled"}},
                "objectSelector": {"matchExpressions": [{"key": INJECT, "operator": "NotIn", "values": ["false"]}]},
            }
        ],
    }


def injected(pod: Document) -> list[dict[str, Any]]:
    """Return the JSON patch that gives a pod its proxy."""
    there = [container["name"] for container in pod["spec"]["containers"]]
    annotations = {**(pod["metadata"].get("annotations") or {}), STATUS: json.dumps({"revision": "default"})}
    # By this label alone istiod tells clients that a pod takes mutual TLS.
    labels = {TLS_MODE: "istio", **(pod["metadata"].get("labels") or {})}
    patch: list[dict[str, Any]] = [
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
        {"op": "add", "path": "/metadata/labels", "value": labels},
    ]
    if PROXY_CONTAINER not in there:
        proxy = {"name": PROXY_CONTAINER, "image": "istio/proxyv2", "args": ["proxy", "sidecar"]}
        patch.append({"op": "add", "path": "/spec/containers/-", "value": proxy})
    return patch


async def serve_injector(directory: Path) -> None:
    """Answer the API server, with the certificate in a directory."""
    application = web.Application()
    application.router.add_post("/inject", _answer)
    runner = web.AppRunner(application)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / f"{INJECTOR}.pem", directory / f"{INJECTOR}-key.pem")
    await web.TCPSite(runner, HOST, PORT, ssl_context=context).start()


async def _answer(request: web.Request) -> web.Response:
    review = await request.json()
    patch = base64.b64encode(json.dumps(injected(review["request"]["object"])).encode()).decode()
    response = {"uid": review["request"]["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
    return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
