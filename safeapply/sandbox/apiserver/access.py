"""Who asks, and what they may: tokens, certificates, impersonation, and RBAC over what the store holds.

As the real server decides it (kubernetes ``plugin/pkg/auth/authorizer/rbac``): rights only add up, a rule names
verbs, groups, resources and perhaps names, and whatever no rule allows is forbidden. Aggregated ClusterRoles and
rules for other paths than those of objects are left out. No I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from safeapply.resources.objects import GroupKind, Namespace
from safeapply.sandbox.apiserver.paths import Place
from safeapply.sandbox.apiserver.statuses import StatusError, bad_request, forbidden, forbidden_path
from safeapply.sandbox.apiserver.store import Store

__all__ = ["ADMIN", "ANONYMOUS", "Access", "Attempt", "User", "attempt_at", "service_account"]

AUTHENTICATED: Final = "system:authenticated"
MASTERS: Final = "system:masters"
_AUTHENTICATION: Final = "authentication.k8s.io"
_RBAC: Final = "rbac.authorization.k8s.io"
_EVERYTHING: Final = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_BEARER: Final = "bearer"
"""In any case (RFC 9110 11.1): the official client writes it small in a pod."""


@dataclass(frozen=True, slots=True)
class User:
    """Who asks."""

    name: str
    groups: frozenset[str] = frozenset({AUTHENTICATED})


ADMIN: Final = User("kubernetes-admin", frozenset({AUTHENTICATED, MASTERS}))
ANONYMOUS: Final = User("system:anonymous", frozenset({"system:unauthenticated"}))


def service_account(namespace: str, name: str) -> User:
    """Return the user that the pods of a ServiceAccount are."""
    groups = {AUTHENTICATED, "system:serviceaccounts", f"system:serviceaccounts:{namespace}"}
    return User(f"system:serviceaccount:{namespace}:{name}", frozenset(groups))


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is asked for, in RBAC's words."""

    verb: str
    group: str
    resource: str
    """With its subresource: ``pods/portforward``."""
    namespace: str = ""
    name: str = ""


def attempt_at(verb: str, place: Place) -> Attempt:
    """Return the attempt of a verb at a place."""
    below = f"/{place.subresource}" if place.subresource else ""
    return Attempt(verb, place.kind.group, place.kind.plural + below, place.namespace, place.name)


@dataclass(frozen=True, slots=True)
class Access:
    """The users of a server, and what they may."""

    store: Store
    tokens: Mapping[str, User] = field(default_factory=dict)
    nobody: User = ANONYMOUS
    """Whoever shows no token: kubectl sends none without TLS."""

    def user_of(
        self,
        headers: Mapping[str, str],
        groups: Collection[str],
        certificate: Mapping[str, Any] | None = None,
    ) -> User:
        """Return who a request is from, or whom it impersonates.

        Args:
            headers: of the request.
            groups: the values of its ``Impersonate-Group``.
            certificate: a client's, verified, as ``ssl.SSLSocket.getpeercert`` tells it; it goes before a token.

        Raises:
            StatusError: 401 for an unknown token, 403 for one that may not impersonate.
        """
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        user = _named_by(certificate) if certificate else self.nobody
        if scheme and not certificate and scheme.lower() != _BEARER:
            user = ANONYMOUS
        elif scheme and not certificate:
            known = self.tokens.get(token)
            if known is None:
                raise StatusError(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")
            user = known
        return self._impersonated(user, headers, groups)

    def check(self, user: User, verb: str, place: Place) -> None:
        """Let pass what a user may.

        Raises:
            StatusError: 403, in the words of the real server.
        """
        attempt = attempt_at(verb, place)
        if not self.allows(user, attempt):
            raise forbidden(place.kind, place.name, _said(user, attempt))

    def check_path(self, user: User, path: str) -> None:
        """Let pass whoever is somebody: discovery is for all of them.

        Raises:
            StatusError: 403.
        """
        if AUTHENTICATED not in user.groups:
            raise forbidden_path(user.name, "get", path)

    def rules(self, user: User, namespace: str) -> list[Mapping[str, Any]]:
        """Return the rules that a user has in a namespace; those of the cluster are among them."""
        return [*([_EVERYTHING] if MASTERS in user.groups else []), *self._rules(user, namespace)]

    def allows(self, user: User, attempt: Attempt) -> bool:
        """Tell whether some rule allows an attempt."""
        return MASTERS in user.groups or any(
            _allows(rule, attempt) for rule in self._rules(user, attempt.namespace)
        )

    def _impersonated(self, user: User, headers: Mapping[str, str], groups: Collection[str]) -> User:
        name, uid = headers.get("Impersonate-User", ""), headers.get("Impersonate-Uid", "")
        if not name and (groups or uid):
            raise bad_request("requested groups or a uid without impersonating a user name")
        if not name:
            return user
        match name.split(":"):
            case ["system", "serviceaccount", namespace, account]:
                wanted = service_account(namespace, account)
                attempts = [Attempt("impersonate", "", "serviceaccounts", namespace, account)]
            case _:
                wanted = User(name)
                attempts = [Attempt("impersonate", "", "users", name=name)]
        attempts += [Attempt("impersonate", "", "groups", name=group) for group in groups]
        attempts += [Attempt("impersonate", _AUTHENTICATION, "uids", name=uid)] if uid else []
        for attempt in attempts:
            if not self.allows(user, attempt):
                subject = f'{attempt.resource} "{attempt.name}" is forbidden'
                raise StatusError(HTTPStatus.FORBIDDEN, "Forbidden", f"{subject}: {_said(user, attempt)}")
        return User(wanted.name, wanted.groups | frozenset(groups))

    def _rules(self, user: User, namespace: str) -> Iterator[Mapping[str, Any]]:
        for binding in self.store.list(GroupKind(_RBAC, "ClusterRoleBinding")):
            if _binds(binding, user):
                yield from self._role("ClusterRole", "", binding["roleRef"]["name"])
        if not namespace:
            return
        for binding in self.store.list(GroupKind(_RBAC, "RoleBinding"), Namespace(namespace)):
            if _binds(binding, user):
                role = binding["roleRef"]
                yield from self._role(role["kind"], namespace, role["name"])

    def _role(self, kind: str, namespace: str, name: str) -> Iterator[Mapping[str, Any]]:
        served = self.store.kinds.named(GroupKind(_RBAC, kind))
        role = self.store.get(served.id_of(name, namespace)) if served else None
        yield from (role or {}).get("rules") or ()


def _named_by(certificate: Mapping[str, Any]) -> User:
    """Return the user of a client certificate: common name and organizations (apiserver ``request/x509``)."""
    subject = [pair for part in certificate["subject"] for pair in part]
    groups = {value for key, value in subject if key == "organizationName"}
    names = [value for key, value in subject if key == "commonName"]
    return User(names[-1] if names else "", frozenset({AUTHENTICATED, *groups}))


def _binds(binding: Mapping[str, Any], user: User) -> bool:
    return any(_is(subject, user) for subject in binding.get("subjects") or ())


def _is(subject: Mapping[str, Any], user: User) -> bool:
    match subject["kind"]:
        case "User":
            return bool(subject["name"] == user.name)
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            return service_account(subject["namespace"], subject["name"]).name == user.name
        case _:
            return False


def _allows(rule: Mapping[str, Any], attempt: Attempt) -> bool:
    _, slash, subresource = attempt.resource.partition("/")
    resources = {"*", attempt.resource, *({f"*/{subresource}"} if slash else ())}
    names = rule.get("resourceNames") or ()
    return (
        not {"*", attempt.verb}.isdisjoint(rule.get("verbs") or ())
        and not {"*", attempt.group}.isdisjoint(rule.get("apiGroups") or ())
        and not resources.isdisjoint(rule.get("resources") or ())
        and (not names or attempt.name in names)
    )


def _said(user: User, attempt: Attempt) -> str:
    """Return the sentence of the real server (apiserver ``responsewriters.ForbiddenMessage``)."""
    where = f'in the namespace "{attempt.namespace}"' if attempt.namespace else "at the cluster scope"
    what = f'resource "{attempt.resource}" in API group "{attempt.group}"'
    return f'User "{user.name}" cannot {attempt.verb} {what} {where}'
