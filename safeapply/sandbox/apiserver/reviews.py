"""``SelfSubjectAccessReview``: what a user may, asked by the user (``kubectl auth can-i``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from safeapply.resources.objects import Document
from safeapply.sandbox.apiserver.access import Access, Attempt, User
from safeapply.sandbox.apiserver.statuses import bad_request

__all__ = ["REVIEWS", "reviewed"]

REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


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
