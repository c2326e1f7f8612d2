"""What users ask about themselves. Pure.

``SelfSubjectAccessReview``: what one may (``kubectl auth can-i``); ``SelfSubjectRulesReview``: all that one may;
``SelfSubjectReview``: who one is (``kubectl auth whoami``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from safeapply.resources.objects import Document
from safeapply.sandbox.apiserver.access import ADMIN, Access, Attempt, User
from safeapply.sandbox.apiserver.kinds import Kind
from safeapply.sandbox.apiserver.statuses import bad_request, invalid
from safeapply.sandbox.apiserver.validation.faults import invalid_value

__all__ = ["REVIEWS", "RULES", "WHO", "introduced", "reviewed", "ruled"]

REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
RULES: Final = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
WHO: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_GROUP: Final = "authorization.k8s.io"
_NAMELESS: Final = Kind(_GROUP, ("v1",), "", "")
"""Messages about these reviews do not say their kind."""
_OWN: Final = {
    "verbs": ["create"],
    "apiGroups": [_GROUP],
    "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
}
"""What everybody may who is somebody (``system:basic-user``)."""


def reviewed(review: Mapping[str, Any], access: Access | None, user: User | None) -> Document:
    """Return the review with its answer; without RBAC everything is allowed.

    Raises:
        StatusError: 422, where it asks for nothing, or for two things at once.
    """
    spec = review.get("spec") or {}
    asked, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if isinstance(asked, Mapping) and path is not None:
        written = {"Path": path.get("path", ""), "Verb": path.get("verb", "")}
        why = "cannot be specified in combination with resourceAttributes"
        raise invalid(_NAMELESS, "", [invalid_value("spec.nonResourceAttributes", written, why)])
    if not isinstance(asked, Mapping) and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise invalid(_NAMELESS, "", [invalid_value("spec.resourceAttributes", None, why)])
    allowed = access is None or user is None or _allows(access, user, asked)
    head = {"apiVersion": f"{_GROUP}/v1", "kind": "SelfSubjectAccessReview", "metadata": {}}
    return {**head, "spec": _without_empty(spec), "status": {"allowed": allowed}}


def ruled(review: Mapping[str, Any], access: Access | None, user: User | None) -> Document:
    """Return the review with all rules of a user in a namespace.

    Raises:
        StatusError: 400, where it names no namespace.
    """
    namespace = (review.get("spec") or {}).get("namespace")
    if not namespace:
        raise bad_request("no namespace on request")
    known = access.rules(user or ADMIN, namespace) if access is not None else []
    rules = [_OWN, *known]
    status = {"resourceRules": rules, "nonResourceRules": [], "incomplete": False}
    head = {"apiVersion": f"{_GROUP}/v1", "kind": "SelfSubjectRulesReview", "metadata": {}}
    return {**head, "spec": {}, "status": status}


def introduced(user: User | None) -> Document:
    """Return who asks; without users everybody is the administrator."""
    known = user or ADMIN
    head = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}
    return {**head, "status": {"userInfo": {"username": known.name, "groups": sorted(known.groups)}}}


def _allows(access: Access, user: User, asked: Mapping[str, Any] | None) -> bool:
    """Tell whether a user may do something; what is no object is for everybody who is somebody."""
    if asked is None:
        return "system:authenticated" in user.groups
    below = f"/{asked['subresource']}" if asked.get("subresource") else ""
    words = {key: str(asked.get(key) or "") for key in ("verb", "group", "namespace", "name")}
    return access.allows(user, Attempt(resource=f"{asked.get('resource', '')}{below}", **words))


def _without_empty(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        name: {key: value for key, value in asked.items() if value != ""}
        for name, asked in spec.items()
        if isinstance(asked, Mapping)
    }
