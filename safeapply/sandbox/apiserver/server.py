"""HTTP for the store: paths and verbs in, documents out, on a port of the loopback interface.

It decides nothing about objects. What it adds is what belongs to connections: watches, port-forwards, latency,
and refusals that a test asks for.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import yaml
from aiohttp import web
from aiohttp.log import server_logger

from safeapply.resources.objects import Document, Namespace, ResourceId
from safeapply.sandbox.apiserver.access import Access, User
from safeapply.sandbox.apiserver.bodies import PatchType, decode_object, encode
from safeapply.sandbox.apiserver.chunks import part_of
from safeapply.sandbox.apiserver.discovery import AGGREGATED, VERSION, discovery_of, paths_of
from safeapply.sandbox.apiserver.faults import STATUSES, ApiFault, ApiFaults
from safeapply.sandbox.apiserver.kinds import NAMESPACE
from safeapply.sandbox.apiserver.listing import check_list, check_watch
from safeapply.sandbox.apiserver.paths import Place, place_of
from safeapply.sandbox.apiserver.portforward import forward, ports_of
from safeapply.sandbox.apiserver.representations import Form, form_of, list_of, one_of
from safeapply.sandbox.apiserver.reviews import REVIEWS, RULES, WHO, introduced, reviewed, ruled
from safeapply.sandbox.apiserver.scales import SCALE, scale_of
from safeapply.sandbox.apiserver.selectors import selection_of
from safeapply.sandbox.apiserver.statuses import (
    StatusError,
    expired_part,
    forbidden,
    internal,
    no_such_path,
    not_a_list,
    not_allowed,
    not_found,
)
from safeapply.sandbox.apiserver.store import STATUS, Store
from safeapply.sandbox.apiserver.watches import watch_of
from safeapply.sandbox.apiserver.writes import Written, write

__all__ = ["ApiServer"]

HOST: Final = "127.0.0.1"
LARGEST_BODY: Final = 3 * 1024 * 1024
"""The real server's ``MaxRequestBodyBytes``."""
CLOSE_SECONDS: Final = 1.0
JSON: Final = "application/json"
HEALTH: Final = frozenset({"/healthz", "/livez", "/readyz"})
VERBS: Final[Mapping[tuple[str, bool], str]] = {
    ("GET", True): "get",
    ("GET", False): "list",
    ("POST", False): "create",
    ("PUT", True): "update",
    ("PATCH", True): "patch",
    ("DELETE", True): "delete",
    ("DELETE", False): "deletecollection",
}
"""Kubernetes' verbs, by method and by whether the path names an object."""


class ApiServer:
    """One API server on the loopback interface, without TLS and users until it gets ``tls`` and ``access``."""

    def __init__(
        self,
        store: Store,
        *,
        admin_address: Callable[[Namespace, str, int], str | None],
        latency: float = 0.0,
    ) -> None:
        self.deny: Callable[[str, ResourceId], str | None] | None = None
        """Asked for each request (verb, object); a reason answers 403. For a collection the name is empty."""
        self.access: Access | None = None
        """Who may do what; None for everybody everything."""
        self.tls: ssl.SSLContext | None = None
        """How the next start encrypts; None for plain HTTP. A verified client certificate names its user."""
        self.faults: ApiFaults | None = None
        """What goes wrong with requests; None for nothing."""
        self.url = ""
        self._store = store
        self._admin_address = admin_address
        self._latency = latency
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        """Begin to answer; without a port, on one that the kernel chooses."""
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._closing.clear()
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=CLOSE_SECONDS
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port, ssl_context=self.tls)
        await site.start()
        host, chosen = self._runner.addresses[0][:2]
        self.url = f"{'http' if self.tls is None else 'https'}://{host}:{chosen}"

    async def stop(self) -> None:
        """End watches and port-forwards, and listen no more."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def kubeconfig(self, *, token: str = "") -> str:
        """Return the file that leads a client here, as the user of a token."""
        name = "safeapply-sandbox"
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": name, "cluster": {"server": self.url}}],
                "users": [{"name": name, "user": {"token": token} if token else {}}],
                "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
                "current-context": name,
            },
            sort_keys=False,
        )

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._latency:
            await asyncio.sleep(self._latency)
        try:
            return await self._answer_or_fail(request)
        except StatusError as error:
            return _json(error.document, status=error.code)
        except web.HTTPRequestEntityTooLarge:
            message = f"Request entity too large: limit is {LARGEST_BODY}"
            refusal = StatusError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge", message)
            return _json(refusal.document, status=refusal.code)
        except Exception as error:  # noqa: BLE001 - every request gets an answer that clients can read
            server_logger.exception("%s %s failed", request.method, request.path)
            refusal = internal(error)
            return _json(refusal.document, status=refusal.code)

    async def _answer_or_fail(self, request: web.Request) -> web.StreamResponse:
        """Answer, unless a fault is drawn that keeps the request or its answer from arriving."""
        watch = request.query.get("watch") in {"1", "true"}
        fault = None if self.faults is None else self.faults.draw(request.method, watch=watch)
        if self.faults is None or fault is None:
            return await self._answer(request)
        if (refusal := STATUSES.get(fault)) is not None:
            headers = {"Retry-After": "1"} if fault is ApiFault.TOO_MANY else {}
            return _json(refusal.document, status=refusal.code, headers=headers)
        if fault is not ApiFault.RESET:
            answer = await self._late_answer(request, fault, self.faults.seconds())
            if fault is ApiFault.LATE:
                return answer
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _late_answer(self, request: web.Request, fault: ApiFault, seconds: float) -> web.StreamResponse:
        """Answer late; a watch that is to be dropped ends after as long."""
        if fault is ApiFault.LATE:
            await asyncio.sleep(seconds)
        try:
            async with asyncio.timeout(seconds if fault is ApiFault.DROPPED_WATCH else None):
                return await self._answer(request)
        except TimeoutError:
            return web.Response()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        user = self._user_of(request)
        place = place_of(self._store.kinds, request.path)
        if place is None:
            return await self._answer_beside_objects(request, user)
        if place.subresource == "portforward" and place.kind.plural == "pods":
            return await self._forward(request, place, user)
        verb = _verb_at(place, request)
        self._check_allowed(verb, place, user)
        if verb == "patch" and not place.subresource and _applies(request) and self._store.get(place.id) is None:
            self._check_allowed("create", place, user)
        match verb:
            case "get":
                return self._get(request, place)
            case "list":
                return self._list(request, place)
            case "watch":
                return await self._watch(request, place)
            case _:
                return self._written(request, place, await write(self._store, verb, place, request))

    def _get(self, request: web.Request, place: Place) -> web.Response:
        document = self._store.get(place.id)
        if document is None:
            raise not_found(place.kind, place.name)
        if place.subresource == SCALE:
            return _json(scale_of(place.kind, document))
        form = form_of(request.headers.get("Accept", ""))
        if form is Form.METADATA and "PartialObjectMetadataList" in request.headers["Accept"]:
            raise not_a_list(place.kind)
        return self._one(request, place, document)

    def _list(self, request: web.Request, place: Place) -> web.Response:
        selection = selection_of(place.kind, place.namespace, request.query)
        part, form = part_of(request.query), form_of(request.headers.get("Accept", ""))
        exact = check_list(request.query, self._store.resource_version)
        version = next((one for one in (part.version, exact) if one is not None), self._store.resource_version)
        try:
            found = self._store.ledger.list_as_of(place.kind.group_kind, version)
        except StatusError as error:
            raise (error if part.version is None else expired_part(part.goes_on_anyway)) from error
        chosen, metadata = part.cut([one for one in found if selection.holds(one)], version)
        return _json(list_of(place, chosen, metadata, form=form, now=datetime.now(UTC)))

    async def _watch(self, request: web.Request, place: Place) -> web.StreamResponse:
        selection = selection_of(place.kind, place.namespace, request.query)
        check_watch(request.query)
        watch = watch_of(place, selection, form_of(request.headers.get("Accept", "")), request.query)
        return await watch.stream(request, self._store.ledger, self._closing)

    def _written(self, request: web.Request, place: Place, written: Written) -> web.Response:
        if written.is_object:
            return self._one(request, place, written.document, status=written.code)
        return _json(written.document, status=written.code)

    def _one(
        self, request: web.Request, place: Place, document: Document, status: int = HTTPStatus.OK
    ) -> web.Response:
        form = form_of(request.headers.get("Accept", ""))
        return _json(one_of(place, document, form, datetime.now(UTC)), status=status)

    async def _forward(self, request: web.Request, place: Place, user: User | None) -> web.StreamResponse:
        # A websocket is a GET; since Kubernetes 1.35 the right to create is asked for as well (KEP-4006).
        for verb in ("get", "create"):
            self._check_allowed(verb, place, user)
        ports = ports_of(request)
        if self._store.get(place.id) is None:
            raise not_found(place.kind, place.name)
        namespace, pod = Namespace(place.namespace), place.name

        def address_of(port: int) -> str | None:
            return self._admin_address(namespace, pod, port)

        return await forward(request, ports, address_of, closing=self._closing)

    async def _answer_review(self, request: web.Request, path: str, user: User | None) -> web.Response:
        if request.method != "POST":
            raise not_allowed()
        if self.access is not None and user is not None:
            self.access.check_path(user, path)
        if path == WHO:
            return _json(introduced(user), status=HTTPStatus.CREATED)
        answer, kind = (
            (reviewed, "SelfSubjectAccessReview") if path == REVIEWS else (ruled, "SelfSubjectRulesReview")
        )
        content_type = request.headers.get("Content-Type", "").partition(";")[0]
        review = decode_object(await request.read(), content_type, kind)
        return _json(answer(review, self.access, user), status=HTTPStatus.CREATED)

    async def _answer_beside_objects(self, request: web.Request, user: User | None) -> web.Response:
        path = request.path.rstrip("/")
        if path in {REVIEWS, RULES, WHO}:
            return await self._answer_review(request, path, user)
        if path in HEALTH:
            return web.Response(text="ok")
        if self.access is not None and user is not None:
            self.access.check_path(user, path)
        if path == "/version":
            return _json(VERSION)
        if not path:
            return _json({"paths": paths_of(self._store.kinds)})
        aggregated = AGGREGATED in request.headers.get("Accept", "") and path in {"/api", "/apis"}
        server = self.url.partition("://")[2]
        document = discovery_of(self._store.kinds, path, server, aggregated=aggregated)
        if document is None and not self._knows(path):
            return web.Response(text="404 page not found\n", status=HTTPStatus.NOT_FOUND)
        if document is None:
            raise no_such_path()
        return _json(document, content_type=AGGREGATED if aggregated else JSON)

    def _knows(self, path: str) -> bool:
        """Tell whether a path begins as some served one does; others are not even answered in JSON."""
        match path.strip("/").split("/"):
            case ["api", *_]:
                return True
            case ["apis", group, version, *_]:
                return any(kind.group == group and version in kind.versions for kind in self._store.kinds)
            case _:
                return False

    def _user_of(self, request: web.Request) -> User | None:
        if self.access is None:
            return None
        groups = request.headers.getall("Impersonate-Group", [])
        return self.access.user_of(request.headers, groups, request.get_extra_info("peercert"))

    def _check_allowed(self, verb: str, place: Place, user: User | None) -> None:
        if self.access is not None and user is not None:
            self.access.check(user, verb, place)
        reason = self.deny(verb, place.id) if self.deny is not None else None
        if reason is not None:
            raise forbidden(place.kind, place.name, reason)


def _verb_at(place: Place, request: web.Request) -> str:
    """Return the verb of a request.

    Raises:
        StatusError: 404 for a subresource that the kind does not have, 405 for a method that is not for the place.
    """
    kind, below = place.kind, place.subresource
    served = ({STATUS} if kind.has_status else set()) | ({SCALE} if kind.scale_path else set())
    if below and below not in served:
        raise no_such_path()
    verb = VERBS.get((request.method, bool(place.name)))
    if verb is None or (below and verb == "delete"):
        raise not_allowed()
    if verb in {"create", "deletecollection"} and kind.namespaced and not place.namespace:
        raise not_allowed()
    if verb == "deletecollection" and kind.group_kind == NAMESPACE:
        raise not_allowed()
    if verb == "list" and request.query.get("watch", "0") not in {"0", "false"}:
        return "watch"
    return verb


def _applies(request: web.Request) -> bool:
    return request.content_type == PatchType.APPLY.value


def _json(
    document: Mapping[str, Any],
    *,
    status: int = HTTPStatus.OK,
    content_type: str = JSON,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> web.Response:
    return web.Response(body=encode(document), status=status, headers={"Content-Type": content_type, **headers})
