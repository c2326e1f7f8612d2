"""The form of what a rollout writes of the Gateway API. Pure.

Less than its definitions say: the fields that routes are decided by, with their defaults. All others pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.apiserver.schemas.shapes import ANYTHING, TEXT, Shape, choice, listed, record, text, whole

__all__ = ["GATEWAY_API_SCHEMAS"]

_GROUP: Final = "gateway.networking.k8s.io"
_LARGEST_PORT: Final = 65535
_LARGEST_WEIGHT: Final = 1_000_000
_LONGEST_HOST: Final = 253
_HOST: Final = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_UNCHECKED: Final = ((lambda _: True, ""),)
"""The definitions have rules, which are not looked at where the form is wrong; here they hold."""


def _open(shape: Shape, **more: object) -> Shape:
    """Return a record that takes other fields as well."""
    return {**shape, "x-kubernetes-preserve-unknown-fields": True, **more}


def _or(shape: Shape, default: object) -> Shape:
    return {**shape, "default": default}


_PORT: Final = whole(minimum=1, maximum=_LARGEST_PORT)
_HOSTNAME: Final = text(minLength=1, maxLength=_LONGEST_HOST, pattern=_HOST)
_LISTENER: Final = _open(
    record(
        "name",
        "port",
        "protocol",
        name=TEXT,
        port=_PORT,
        protocol=text(minLength=1),
        hostname=_HOSTNAME,
        allowedRoutes=_or(
            _open(record(namespaces=_or(_open(record(**{"from": _or(TEXT, "Same")})), {"from": "Same"}))),
            {"namespaces": {"from": "Same"}},
        ),
    )
)
_GATEWAY: Final = _open(
    record(
        "gatewayClassName",
        "listeners",
        gatewayClassName=text(minLength=1),
        listeners=listed(_LISTENER, minItems=1, maxItems=64),
    )
)
_PARENT: Final = _open(record("name", group=_or(TEXT, _GROUP), kind=_or(TEXT, "Gateway"), name=text(minLength=1)))
_BACKEND: Final = _open(
    record(
        "name",
        group=_or(TEXT, ""),
        kind=_or(TEXT, "Service"),
        name=text(minLength=1),
        port=_PORT,
        weight=_or(whole(minimum=0, maximum=_LARGEST_WEIGHT), 1),
    )
)
_PATH: Final = record(
    type=_or(choice("Exact", "PathPrefix", "RegularExpression"), "PathPrefix"), value=_or(text(maxLength=1024), "/")
)
_MATCH: Final = _open(record(path=_or(_PATH, {"type": "PathPrefix", "value": "/"})))
_RULE: Final = _open(
    record(
        backendRefs=listed(_BACKEND, maxItems=16),
        matches=_or(listed(_MATCH, maxItems=64), [{"path": {"type": "PathPrefix", "value": "/"}}]),
    )
)
_HTTP_ROUTE: Final = _open(
    record(
        hostnames=listed(_HOSTNAME, maxItems=16),
        parentRefs=listed(_PARENT, maxItems=32),
        rules=_or(listed(_RULE, maxItems=16), [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}]),
    )
)
GATEWAY_API_SCHEMAS: Final[Mapping[GroupKind, Shape]] = {
    GroupKind(_GROUP, "Gateway"): record("spec", spec={**_GATEWAY, "x-rules": _UNCHECKED}, status=ANYTHING),
    GroupKind(_GROUP, "HTTPRoute"): record("spec", spec={**_HTTP_ROUTE, "x-rules": _UNCHECKED}, status=ANYTHING),
}
"""The schemas of whole objects, less their identity and metadata."""
