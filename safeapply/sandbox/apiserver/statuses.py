"""What an API server says when it says no: the ``Status`` object, in the words of the real one.

Clients act on code and reason, and people read the message, so all three are the real server's. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from safeapply.sandbox.apiserver.kinds import Kind
from safeapply.sandbox.apiserver.validation.faults import Fault, invalid_value

__all__ = [
    "StatusError",
    "already_exists",
    "bad_request",
    "broken",
    "conflict",
    "denied",
    "expired",
    "expired_part",
    "forbidden",
    "forbidden_path",
    "internal",
    "invalid",
    "invalid_options",
    "no_such_path",
    "not_a_list",
    "not_acceptable",
    "not_allowed",
    "not_found",
    "precondition_failed",
    "rejected",
    "success",
    "too_large_version",
    "unknown_media_type",
    "unprocessable_patch",
    "unsupported",
    "unversioned",
]


class StatusError(Exception):
    """A request that the API server answers with a failure."""

    continuation = ""
    """A token for the rest of a list whose own has expired."""

    def __init__(self, code: int, reason: str, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        self.code = code
        self.reason = reason
        self.details = details
        super().__init__(message)

    @property
    def document(self) -> Mapping[str, Any]:
        """The ``Status`` object to send."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.continuation} if self.continuation else {},
            "status": "Failure",
            "message": str(self),
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        return status | {"code": self.code}


def success(kind: Kind, name: str, uid: str) -> Mapping[str, Any]:
    """Return the ``Status`` that answers a deletion."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**_details(kind, name), "uid": uid},
    }


def broken(message: str) -> StatusError:
    """Say what the real server has no reason for: an error of its own making, though the client is to blame."""
    return StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, "", message)


def unprocessable_patch(document: Mapping[str, Any], why: str) -> StatusError:
    """Say that what a patch makes of an object is no object of its kind."""
    return _invalid("", {"name": ""}, [invalid_value("patch", json.dumps(document, separators=(",", ":")), why)])


def bad_request(message: str) -> StatusError:
    """Say that the request makes no sense."""
    return StatusError(HTTPStatus.BAD_REQUEST, "BadRequest", message)


def unsupported(message: str) -> StatusError:
    """Say that the body is in a form that is not understood here."""
    return StatusError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)


def not_found(kind: Kind, name: str) -> StatusError:
    """Say that an object does not exist."""
    message = f'{kind.resource} "{name}" not found'
    return StatusError(HTTPStatus.NOT_FOUND, "NotFound", message, details=_details(kind, name))


def already_exists(kind: Kind, name: str, *, ends: bool = False) -> StatusError:
    """Say that an object is there already, if only until its finalizers are gone."""
    message = f'{"object is being deleted: " if ends else ""}{kind.resource} "{name}" already exists'
    return StatusError(HTTPStatus.CONFLICT, "AlreadyExists", message, details=_details(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> StatusError:
    """Say that the object is not the one that the request is about: by default, that it was written since."""
    why = why or ("the object has been modified; please apply your changes to the latest version and try again")
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return StatusError(HTTPStatus.CONFLICT, "Conflict", message, details=_details(kind, name))


def precondition_failed(kind: Kind, name: str, why: str) -> StatusError:
    """Say that a deletion is about another object, or another version of it."""
    subject = f"{kind.name}.{kind.group}" if kind.group else kind.name
    message = f'Operation cannot be fulfilled on {subject} "{name}": {why}'
    details = {"name": name, "group": kind.group, "kind": kind.name}
    given = {key: value for key, value in details.items() if value}
    return StatusError(HTTPStatus.CONFLICT, "Conflict", message, details=given)


def invalid(kind: Kind, name: str, faults: Sequence[Fault]) -> StatusError:
    """Say which fields of an object cannot be as they are."""
    subject = f"{kind.name}.{kind.group}" if kind.group else kind.name
    return _invalid(subject, {"name": name, "group": kind.group, "kind": kind.name}, faults)


def unversioned(kind: Kind, name: str) -> StatusError:
    """Say that a custom object is replaced at no version; its subject is the resource, unlike elsewhere."""
    fault = invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
    return _invalid(kind.resource, {"name": name, "group": kind.group, "kind": kind.plural}, [fault])


def invalid_options(options: str, *faults: Fault) -> StatusError:
    """Say what is wrong with the parameters of a request: ``DeleteOptions`` and their like."""
    return _invalid(f"{options}.meta.k8s.io", {"name": "", "group": "meta.k8s.io", "kind": options}, faults)


def _invalid(subject: str, details: Mapping[str, str], faults: Sequence[Fault]) -> StatusError:
    said = [f"{fault.field}: {fault.message}" for fault in faults]
    listed = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    causes = [{"reason": fault.reason, "message": fault.message, "field": fault.field} for fault in faults]
    return StatusError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Invalid",
        f'{subject} "{details["name"]}" is invalid: {listed}',
        details={key: value for key, value in details.items() if value} | {"causes": causes},
    )


def denied(kind: Kind, name: str, reason: str, *, webhook: str) -> StatusError:
    """Say that an admission webhook does not let the object in."""
    message = f'admission webhook "{webhook}" denied the request: {reason}'
    return StatusError(HTTPStatus.BAD_REQUEST, "BadRequest", message, details=_details(kind, name))


def forbidden(kind: Kind, name: str, why: str) -> StatusError:
    """Say that the user may not do this."""
    subject = f'{kind.resource} "{name}" is forbidden' if name else f"{kind.resource} is forbidden"
    return StatusError(HTTPStatus.FORBIDDEN, "Forbidden", f"{subject}: {why}", details=_details(kind, name))


def forbidden_path(user: str, verb: str, path: str) -> StatusError:
    """Say that the user may not see what is no object."""
    message = f'forbidden: User "{user}" cannot {verb} path "{path}"'
    return StatusError(HTTPStatus.FORBIDDEN, "Forbidden", message, details={})


def not_acceptable(*, transformed: bool) -> StatusError:
    """Say that no answer is in a form that the client takes."""
    types = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    if transformed:
        message = f"only the following media types are accepted: {types}"
        return StatusError(HTTPStatus.NOT_ACCEPTABLE, "NotAcceptable", message)
    message = f"406: Not Acceptable\n\nAvailable representations: {types}"
    return StatusError(HTTPStatus.NOT_ACCEPTABLE, "NotAcceptable", message, details={})


def not_a_list(kind: Kind) -> StatusError:
    """Say that one object was asked for in the form of many."""
    what = f"the requested object is not a list (*core.{kind.name})"
    return StatusError(
        HTTPStatus.NOT_ACCEPTABLE, "NotAcceptable", f"you requested PartialObjectMetadataList, but {what}"
    )


def rejected() -> StatusError:
    """Say that an operation of a JSON patch does not fit; the real server does not say which."""
    message = "the server rejected our request due to an error in our request"
    return StatusError(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", message, details={})


def unknown_media_type() -> StatusError:
    """Say that there is no such kind of patch."""
    message = "415: Unsupported Media Type"
    return StatusError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message, details={})


def too_large_version(asked: int, now: int) -> StatusError:
    """Say that a version is of the future."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    message = f"Timeout: Too large resource version: {asked}, current: {now}"
    details = {"causes": [cause], "retryAfterSeconds": 1}
    return StatusError(HTTPStatus.GATEWAY_TIMEOUT, "Timeout", message, details=details)


def not_allowed() -> StatusError:
    """Say that the path is one, but not for this method."""
    message = "the server does not allow this method on the requested resource"
    return StatusError(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", message, details={})


def no_such_path() -> StatusError:
    """Say that the path leads to no resource."""
    message = "the server could not find the requested resource"
    return StatusError(HTTPStatus.NOT_FOUND, "NotFound", message, details={})


def internal(error: Exception) -> StatusError:
    """Say that the server itself failed, as the real one does where it panics."""
    message = f"Internal error occurred: {type(error).__name__}: {error}"
    return StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", message)


def expired_part(continuation: str) -> StatusError:
    """Say that the rest of a list cannot be had as it was, but as it is by now."""
    error = StatusError(
        HTTPStatus.GONE,
        "Expired",
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
        "the results. Continuing with the provided token results in an inconsistent list - objects that were "
        "created, modified, or deleted between the time the first chunk was returned and now may show up in the "
        "list.",
    )
    error.continuation = continuation
    return error


def expired(asked: int, oldest: int) -> StatusError:
    """Say that the history does not reach back to a version; clients list again."""
    return StatusError(HTTPStatus.GONE, "Expired", f"too old resource version: {asked} ({oldest})")


def _details(kind: Kind, name: str) -> Mapping[str, Any]:
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return {key: value for key, value in details.items() if value}
