"""What users ask about themselves. Pure.

``SelfSubjectAccessReview``: what one may (``kubectl auth can-i``); ``SelfSubjectReview``: who one is
(``kubectl auth whoami``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from safeapply.resources.objects import Document
from safeapply.sandbox.apiserver.access import ADMIN, Access, Attempt, User
from safeapply.sandbox.apiserver.statuses import bad_request

__all__ = ["REVIEWS", "WHO", "introduced", "reviewed"]

REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
WHO: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def reviewed(review: Mapping[str, Any], access: Access | None, user: User | None) -> Document:
    """Return the review with its answer; without RBAC everything is allowed.

    Raises:
        StatusError: it asks for nothing that can be answered.
    """
    asked = (review.get("spec") or {}).get("resourceAttributes")
    if not isinstance(asked, Mapping):
        raise bad_request("spec.resourceAttributes: Required value: only reviews of resources are answered here")
    below = f"/{asked['subresource']}" if asked.get("subresource") else ""
    words = {key: str(asked.get(key) or "") for key in ("verb", "group", "namespace", "name")}
    attempt = Attempt(resource=f"{asked.get('resource', '')}{below}", **words)
    allowed = access is None or user is None or access.allows(user, attempt)
    head = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {}}
    return {**head, "spec": review["spec"], "status": {"allowed": allowed}}


def introduced(user: User | None) -> Document:
    """Return who asks; without users everybody is the administrator."""
    known = user or ADMIN
    head = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}
    return {**head, "status": {"userInfo": {"username": known.name, "groups": sorted(known.groups)}}}
