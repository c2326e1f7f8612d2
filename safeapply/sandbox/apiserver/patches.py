"""The patches of the API: JSON merge patch (RFC 7386), JSON patch (RFC 6902), strategic merge. Pure.

Each takes the live document and what the client sent, and returns a new document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from safeapply.sandbox.apiserver.kinds import ListKeys

__all__ = ["PatchError", "json_patch", "merge_patch", "strategic_patch"]

_DIRECTIVE: Final = "$patch"
_ORDER: Final = "$setElementOrder/"
_PRIMITIVES: Final = "$deleteFromPrimitiveList/"
_RETAIN: Final = "$retainKeys"


class PatchError(Exception):
    """The patch has no form that can be applied, or does not fit the document."""


def merge_patch(target: object, patch: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return the target patched as RFC 7386 says: null removes, maps merge, all else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def strategic_patch(target: object, patch: Mapping[str, Any], lists: ListKeys) -> dict[str, Any]:
    """Return the target patched as Kubernetes' own types are: like a merge patch, but lists merge by item.

    Raises:
        PatchError: a directive that there is none of.
    """
    result: dict[str, Any] = dict(target) if isinstance(target, Mapping) else {}
    match patch.get(_DIRECTIVE):
        case "replace":
            return {name: value for name, value in patch.items() if name != _DIRECTIVE}
        case "delete":
            return {}
        case None | "merge":
            pass
        case other:
            raise PatchError(f"unknown patch type: {other} in map: {_as_go(patch)}")
    for name, value in patch.items():
        if name not in {_DIRECTIVE, _RETAIN} and not name.startswith(_ORDER):
            _patch_field(result, name, value, (patch.get(_ORDER + name), lists))
    if _RETAIN in patch:
        result = {name: value for name, value in result.items() if name in patch[_RETAIN]}
    return result


def json_patch(target: object, patch: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return the target after a list of operations.

    Raises:
        PatchError: an operation is malformed, or its path does not exist, or its test fails.
    """
    if not isinstance(patch, Sequence) or not all(isinstance(one, Mapping) for one in patch):
        raise PatchError("a JSON patch is a list of operations")
    for operation in patch:
        try:
            target = _operate(target, operation)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise PatchError(f"the operation {dict(operation)} does not fit the document") from error
    return target


def _patch_field(
    result: dict[str, Any],
    name: str,
    value: Any,  # noqa: ANN401 - any JSON value
    how: tuple[list[Any] | None, ListKeys],
) -> None:
    order, lists = how
    if name.startswith(_PRIMITIVES):
        name, gone = name.removeprefix(_PRIMITIVES), value
        result[name] = [item for item in result.get(name) or () if item not in gone]
    elif value is None:
        result.pop(name, None)
    elif isinstance(value, Mapping):
        result[name] = strategic_patch(result.get(name), value, lists)
    elif isinstance(value, list) and name in lists:
        live = result.get(name) or []
        patched, keys = _patch_items(live, value, name, lists), lists[name][:1]
        result[name] = _in_order(patched, live, value if order is None else order, keys)
    else:
        result[name] = value


def _patch_items(live: list[Any], patch: list[Any], name: str, lists: ListKeys) -> list[Any]:
    """Merge lists by the first key alone, as strategic merge has it (``patchMergeKey``)."""
    if not lists[name]:
        return live + [item for item in patch if item not in live]
    if any(isinstance(item, Mapping) and item.get(_DIRECTIVE) == "replace" for item in patch):
        return [item for item in patch if _DIRECTIVE not in item]
    key, result = lists[name][0], list(live)
    for item in patch:
        if not isinstance(item, Mapping) or key not in item:
            raise PatchError(f"map: {_as_go(item)} does not contain declared merge key: {key}")
        place = next((at for at, mine in enumerate(result) if mine.get(key) == item[key]), None)
        if item.get(_DIRECTIVE) == "delete":
            result = [mine for mine in result if mine.get(key) != item[key]]
        elif place is None:
            result.append(strategic_patch({}, item, lists))
        else:
            result[place] = strategic_patch(result[place], item, lists)
    return result


def _in_order(items: list[Any], live: list[Any], order: list[Any], keys: tuple[str, ...]) -> list[Any]:
    """Return items in the order of a patch, and between them, in their old order, those that it does not name.

    As ``mergeSortedSlice`` of strategic merge has it: where old places do not tell, the patch goes first.
    """
    marks, places = [_mark(one, keys) for one in order], [_mark(one, keys) for one in live]
    named = sorted(
        (one for one in items if _mark(one, keys) in marks), key=lambda one: marks.index(_mark(one, keys))
    )
    others = [one for one in items if _mark(one, keys) not in marks]
    result = []
    while named and others:
        first, second = _mark(others[0], keys), _mark(named[0], keys)
        known = first in places and second in places
        source = others if known and places.index(first) < places.index(second) else named
        result.append(source.pop(0))
    return [*result, *named, *others]


def _as_go(value: object) -> str:
    """Return a map as Go prints one."""
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{_as_go(child)}" for key, child in sorted(value.items())) + "]"
    return str(value)


def _mark(item: Any, keys: tuple[str, ...]) -> Any:  # noqa: ANN401 - any JSON value
    return item.get(keys[0]) if keys and isinstance(item, Mapping) else item


def _operate(target: Any, operation: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    path = _pointer(operation["path"])
    match operation["op"]:
        case "add":
            return _edited(target, path, lambda parent, key: _insert(parent, key, operation["value"]))
        case "replace":
            return _edited(target, path, lambda parent, key: _replace(parent, key, operation["value"]))
        case "remove":
            return _edited(target, path, _remove)
        case "move":
            value = _looked_up(target, _pointer(operation["from"]))
            rest = _edited(target, _pointer(operation["from"]), _remove)
            return _edited(rest, path, lambda parent, key: _insert(parent, key, value))
        case "copy":
            value = _looked_up(target, _pointer(operation["from"]))
            return _edited(target, path, lambda parent, key: _insert(parent, key, value))
        case "test":
            if _looked_up(target, path) != operation["value"]:
                raise PatchError(f"testing value {operation['path']} failed: test failed")
            return target
        case other:
            raise PatchError(f"there is no operation {other!r} in a JSON patch")


def _pointer(text: str) -> tuple[str, ...]:
    """Split a JSON pointer (RFC 6901)."""
    if text and not text.startswith("/"):
        raise PatchError(f"{text!r} is no JSON pointer: it has to begin with a slash")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


def _looked_up(value: Any, path: Sequence[str]) -> Any:  # noqa: ANN401 - any JSON value
    for key in path:
        value = value[_index(value, key)]
    return value


def _edited(value: Any, path: Sequence[str], edit: Callable[[Any, Any], None]) -> Any:  # noqa: ANN401
    """Return a copy along the path whose last container was edited in place."""
    if not path:
        whole = {"": value}
        edit(whole, "")
        return whole.get("")
    copy = list(value) if isinstance(value, list) else dict(value)
    if len(path) == 1:
        edit(copy, _index(copy, path[0]))
    else:
        key = _index(copy, path[0])
        copy[key] = _edited(copy[key], path[1:], edit)
    return copy


def _index(container: Any, key: str) -> Any:  # noqa: ANN401 - a name, or a place in a list
    if not isinstance(container, list):
        return key
    if key == "-":
        return len(container)
    if not key.isdecimal():
        raise PatchError(f"{key!r} is no place in a list")
    return int(key)


def _insert(parent: Any, key: Any, value: Any) -> None:  # noqa: ANN401 - any container
    if not isinstance(parent, list):
        parent[key] = value
    elif key > len(parent):
        raise IndexError(key)
    else:
        parent.insert(key, value)


def _replace(parent: Any, key: Any, value: Any) -> None:  # noqa: ANN401 - any container
    if isinstance(parent, list):
        _ = parent[key]
    parent[key] = value  # the real server replaces what is not there as well


def _remove(parent: Any, key: Any) -> None:  # noqa: ANN401 - any container
    del parent[key]
