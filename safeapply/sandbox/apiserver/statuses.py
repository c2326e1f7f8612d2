"""What an API server says when it says no: the ``Status`` object, in the words of the real one.

Clients act on code and reason, and people read the message, so all three are the real server's. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from safeapply.sandbox.apiserver.kinds import Kind

__all__ = [
    "StatusError",
    "already_exists",
    "bad_request",
    "conflict",
    "denied",
    "expired",
    "forbidden",
    "forbidden_path",
    "internal",
    "invalid",
    "not_allowed",
    "not_found",
    "success",
    "unsupported",
]


class StatusError(Exception):
    """A request that the API server answers with a failure."""

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
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
        }
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


def already_exists(kind: Kind, name: str) -> StatusError:
    """Say that an object is there already."""
    message = f'{kind.resource} "{name}" already exists'
    return StatusError(HTTPStatus.CONFLICT, "AlreadyExists", message, details=_details(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> StatusError:
    """Say that the object is not the one that the request is about: by default, that it was written since."""
    why = why or ("the object has been modified; please apply your changes to the latest version and try again")
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return StatusError(HTTPStatus.CONFLICT, "Conflict", message, details=_details(kind, name))


def invalid(kind: Kind, name: str, faults: Sequence[tuple[str, str]]) -> StatusError:
    """Say which fields of an object cannot be as they are; each fault is a field and a sentence."""
    said = [f"{path}: {fault}" for path, fault in faults]
    listed = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    subject = f"{kind.name}.{kind.group}" if kind.group else kind.name
    causes = [{"reason": "FieldValueInvalid", "message": fault, "field": path} for path, fault in faults]
    return StatusError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Invalid",
        f'{subject} "{name}" is invalid: {listed}',
        details={"name": name, "group": kind.group, "kind": kind.name, "causes": causes},
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


def not_allowed() -> StatusError:
    """Say that the path is one, but not for this method."""
    message = "the server does not allow this method on the requested resource"
    return StatusError(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", message)


def internal(error: Exception) -> StatusError:
    """Say that the server itself failed, as the real one does where it panics."""
    message = f"Internal error occurred: {type(error).__name__}: {error}"
    return StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", message)


def expired(asked: int, oldest: int) -> StatusError:
    """Say that the history does not reach back to a version; clients list again."""
    return StatusError(HTTPStatus.GONE, "Expired", f"too old resource version: {asked} ({oldest})")


def _details(kind: Kind, name: str) -> Mapping[str, Any]:
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return {key: value for key, value in details.items() if value}
