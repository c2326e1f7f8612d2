"""What the user of a kubeconfig may: read from the API server's refusals, and asked of it before the first write.

A refusal is told from other kinds of 403 (quotas, webhooks) by the one sentence that the API server makes whichever
way it decides (apiserver ``responsewriters.ForbiddenMessage``). Everybody may ask what he may himself
(``system:basic-user``); where a server does not answer that, the right is taken to be there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

from safeapply.adapters.connection import Connection, Reply
from safeapply.errors import ForbiddenError, Missing
from safeapply.plans.rights import EVERYWHERE, Right
from safeapply.resources.objects import GroupKind, Namespace

__all__ = ["check_rights", "forbidden", "lacking"]

REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
AT_ONCE: Final = 16
FORBIDDEN: Final = 403
_SENTENCE: Final = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)" '
    r'(?:in the namespace "(?P<namespace>[^"]*)"|at the cluster scope)'
)
_NAME: Final = re.compile(r'^\S+ "(?P<name>[^"]*)" is forbidden')

Plural = Callable[[GroupKind], Awaitable[str | None]]
"""How the server calls the collection of a kind; None where it has no such kind."""


def forbidden(reply: Reply, purpose: Callable[[str, str, str, str], str]) -> ForbiddenError | None:
    """Return the right that a refused request lacked, or None where something else was wrong.

    Args:
        reply: the server's answer.
        purpose: what a verb on a resource of a group, or on the one of a name, is needed for.
    """
    found = _SENTENCE.search(reply.message) if reply.status == FORBIDDEN else None
    if found is None:
        return None
    named = _NAME.search(reply.message)
    name = named["name"] if named else ""
    verb, resource, group = found["verb"], found["resource"], found["group"]
    lacks = Missing(
        verb,
        f"{resource}.{group}" if group else resource,
        found["namespace"] or "",
        name,
        purpose(verb, group, resource, name),
    )
    return ForbiddenError((lacks,), found["user"])


async def check_rights(
    connection: Connection, rights: Iterable[Right], plural: Plural, *, namespaces: Sequence[Namespace] = ()
) -> None:
    """Return where all rights are there.

    Args:
        connection: whose rights.
        rights: what is needed.
        plural: how the server calls the collection of a kind.
        namespaces: where a right on pods is enough, if it is not there for all namespaces.

    Raises:
        ForbiddenError: with every right that is missing.
    """
    missing = await lacking(connection, rights, plural, namespaces=namespaces)
    if missing:
        raise ForbiddenError(missing)


async def lacking(
    connection: Connection, rights: Iterable[Right], plural: Plural, *, namespaces: Sequence[Namespace] = ()
) -> tuple[Missing, ...]:
    """Return every right that is missing."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def reviewed(right: Right, resource: str, names: Iterable[str]) -> list[Missing]:
        attempts = [(verb, name) for name in names for verb in right.verbs]
        reviews = (_missing(connection, gate, right, resource, verb, name) for verb, name in attempts)
        return [one for one in await asyncio.gather(*reviews) if one is not None]

    async def judged(right: Right) -> list[Missing]:
        resource = await plural(right.kind)
        if resource is None:
            return []
        several = len(right.names) > 1
        found = await reviewed(right, resource, ("",) if several else right.names or ("",))
        if found and several:
            found = await reviewed(right, resource, right.names)
        if not (found and namespaces and right.subresource and right.namespace == EVERYWHERE):
            return found
        there = [Right(space, right.kind, right.subresource, right.verbs, (), right.why) for space in namespaces]
        return [one for several in await asyncio.gather(*map(judged, there)) for one in several]

    several = await asyncio.gather(*map(judged, dict.fromkeys(rights)))
    return tuple(dict.fromkeys(one for found in several for one in found))


async def _missing(
    connection: Connection, gate: asyncio.Semaphore, right: Right, resource: str, verb: str, name: str
) -> Missing | None:
    attributes: dict[str, Any] = {
        "verb": verb,
        "group": right.kind.group,
        "resource": resource,
        "subresource": right.subresource,
        "namespace": right.namespace,
        "name": name,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    async with gate:
        reply = await connection.request("POST", REVIEWS, body=body)
    status = reply.document.get("status")
    if not reply.ok or not isinstance(status, dict) or status.get("allowed") is not False:
        return None
    below = f"/{right.subresource}" if right.subresource else ""
    group = f".{right.kind.group}" if right.kind.group else ""
    return Missing(verb, f"{resource}{below}{group}", right.namespace, name, right.why)
