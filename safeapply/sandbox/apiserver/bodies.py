"""Bytes to documents and back: what clients send in JSON or YAML, and the patches among it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

import msgspec
import yaml

from safeapply.resources.objects import Document
from safeapply.sandbox.apiserver.kinds import Kind
from safeapply.sandbox.apiserver.patches import PatchError, json_patch, merge_patch, strategic_patch
from safeapply.sandbox.apiserver.statuses import bad_request, broken, rejected, unknown_media_type, unsupported

__all__ = ["PatchType", "decode", "decode_object", "encode", "patch_type_of", "patcher"]


class PatchType(Enum):
    """The media types of a PATCH."""

    APPLY = "application/apply-patch+yaml"
    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a timestamp is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}

DEEPEST: Final = 100
_PLAIN: Final = frozenset({"", "application/json", "application/yaml", "*/*"})
_MAP: Final = "map[string]interface {}"
_NAMES: Final = {list: "array", dict: "object", str: "string", bool: "bool"}
encode: Final = msgspec.json.Encoder().encode


def decode(body: bytes, content_type: str, head: str = "error decoding patch: ") -> Any:  # noqa: ANN401 - any JSON
    """Return what a body says.

    Args:
        body: as it came.
        content_type: the media type of it.
        head: what an error message begins with.

    Raises:
        StatusError: 400, where it is neither JSON nor, as far as the type allows that, YAML.
    """
    value = _decoded(body, content_type, head)
    if not _is_shallow(value, DEEPEST):
        raise bad_request(f"the object provided is nested deeper than {DEEPEST} levels")
    return value


def _decoded(body: bytes, content_type: str, head: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if "yaml" not in content_type:
            ends = not body.strip() or "truncated" in str(error)
            raise bad_request(f"{head}{'unexpected end of JSON input' if ends else error}") from error
    try:
        return yaml.load(body, _Loader)  # noqa: S506 - a safe loader with fewer types
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise bad_request(f"error decoding YAML: {' '.join(str(error).split())}") from error


def _is_shallow(value: object, left: int) -> bool:
    """Tell whether a value can be walked through by functions that call themselves."""
    match value:
        case dict():
            return left > 0 and all(_is_shallow(child, left - 1) for child in value.values())
        case list():
            return left > 0 and all(_is_shallow(child, left - 1) for child in value)
        case _:
            return True


def decode_object(body: bytes, content_type: str, kind: str) -> dict[str, Any]:
    """Return the object of a kind that a POST or a PUT carries.

    Raises:
        StatusError: 400 for what is no object, 415 for protobuf and the like.
    """
    if content_type not in _PLAIN:
        raise unsupported(
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json, application/yaml, application/vnd.kubernetes.protobuf"
        )
    what = f"the object provided is unrecognized (must be of type {kind})"
    head = f"{what}: couldn't get version/kind; json parse error: "
    document = decode(body, content_type, head)
    if not isinstance(document, dict):
        raise bad_request(f"{head}json: cannot unmarshal {_NAMES.get(type(document), 'number')} into Go value")
    return document


def patch_type_of(content_type: str, kind: Kind) -> PatchType:
    """Return the type of a patch.

    Raises:
        StatusError: 415, also for strategic merge on kinds that a definition brought.
    """
    named = next((one for one in PatchType if one.value == content_type), None)
    if named is None:
        raise unknown_media_type()
    if not kind.custom or named is not PatchType.STRATEGIC:
        return named
    accepted = (PatchType.JSON, PatchType.MERGE, PatchType.APPLY)
    listed = ", ".join(one.value for one in accepted)
    raise unsupported(f"the body of the request was in an unknown format - accepted media types include: {listed}")


def patcher(patch_type: PatchType, patch: Any, kind: Kind) -> Callable[[Document], Document]:  # noqa: ANN401
    """Return what a patch makes of an object.

    Raises:
        StatusError: 400, where the patch is of another form; its result raises 422 or 500 where it does not fit.
    """
    wanted, spoken = (list, "[]handlers.jsonPatchOp") if patch_type is PatchType.JSON else (dict, _MAP)
    if not isinstance(patch, wanted):
        found = f"json: cannot unmarshal {_NAMES.get(type(patch), 'number')}"
        raise bad_request(f"error decoding patch: {found} into Go value of type {spoken}")

    def patched(live: Document) -> Document:
        try:
            result = _patched(patch_type, live, patch, kind)
        except (PatchError, TypeError, AttributeError, LookupError) as error:
            raise (rejected() if patch_type is PatchType.JSON else broken(str(error))) from error
        if not isinstance(result, dict) or "kind" not in result:
            raise rejected()
        return result

    return patched


def _patched(patch_type: PatchType, live: Document, patch: Any, kind: Kind) -> Any:  # noqa: ANN401
    match patch_type:
        case PatchType.JSON:
            return json_patch(live, patch)
        case PatchType.STRATEGIC if isinstance(patch, Mapping):
            return strategic_patch(live, patch, kind.lists)
        case _ if isinstance(patch, Mapping):
            return merge_patch(live, patch)
        case _:
            raise PatchError("a patch has to be an object")
