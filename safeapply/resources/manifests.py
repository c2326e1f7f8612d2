"""From texts to resources: every fault of every file at once, each with its place and what to do about it.

What is read is what kubectl would read from the same files (``resources.documents``); an object that kubectl
would refuse is refused here, before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from safeapply.errors import Fault, ManifestsError
from safeapply.resources.building import Lines
from safeapply.resources.documents import Parsed, parse
from safeapply.resources.identifiers import api_version_fault, identified, identifier_faults
from safeapply.resources.objects import FieldPath, GroupKind, Namespace, Origin, Resource, ResourceId
from safeapply.resources.schema import Manifest, model_of
from safeapply.resources.scopes import is_namespaced
from safeapply.resources.shapes import mismatches
from safeapply.resources.sources import SourceText, decode

__all__ = ["SourceText", "read_manifests"]

_KUSTOMIZE = "kustomize.config.k8s.io"


def read_manifests(
    texts: Iterable[SourceText],
    *,
    default_namespace: Namespace,
    enforce_namespace: bool = False,
    namespaced: Callable[[GroupKind], bool] = is_namespaced,
) -> tuple[Resource, ...]:
    """Return the objects of all texts, in the order in which they stand.

    Args:
        texts: what the files hold.
        default_namespace: where objects go that name no namespace.
        enforce_namespace: the user gave ``-n``, so that an object of another namespace is a fault.
        namespaced: whether a kind stands in namespaces; discovery knows more than the built-in table.

    Raises:
        ManifestsError: with every fault of every text, or because nothing was found.
    """
    sources = tuple(texts)
    border = _Border(default_namespace, enforce_namespace, namespaced)
    faults: list[Fault] = []
    found: list[Resource] = []
    for result in (result for source in sources for result in _read(source, border)):
        (faults if isinstance(result, Fault) else found).append(result)  # type: ignore[arg-type]
    faults += _duplicates(found)
    if not faults and not found:
        faults.append(Fault(_all_names(sources), 0, "no objects passed to apply; name files that hold manifests"))
    if faults:
        raise ManifestsError(tuple(faults))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Border:
    """What decides the namespace of an object."""

    default: Namespace
    enforce: bool
    namespaced: Callable[[GroupKind], bool]


def _read(source: SourceText, border: _Border) -> Iterator[Resource | Fault]:
    text = decode(source)
    if isinstance(text, Fault):
        yield text
        return
    for result in parse(source.name, text):
        if isinstance(result, Fault):
            yield result
            continue
        for item in _flattened(source.name, result):
            yield from (item,) if isinstance(item, Fault) else _Object(source.name, item, border).read()


def _flattened(name: str, parsed: Parsed) -> Iterator[Parsed | Fault]:
    """Take lists apart: ``List``, and ``VirtualServiceList`` and the like, whose items may leave out their kind."""
    value = parsed.value
    if not isinstance(value, dict):
        # What it says is not told: it may be the one line of a password file.
        said = "a list" if isinstance(value, list) else "plain text" if isinstance(value, str) else "a single value"
        yield Fault(name, parsed.line, f"this is {said}, not a manifest: expected apiVersion, kind and metadata")
        return
    kind, items = value.get("kind"), value.get("items")
    if not (isinstance(kind, str) and kind.endswith("List") and ("items" in value or kind == "List")):
        yield parsed
        return
    if not isinstance(items, list):
        if items is not None:
            yield Fault(name, parsed.line, f"the items of {kind} must be a list")
        return
    implied = {} if kind == "List" else {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List")}
    for index, item in enumerate(items):
        line, lines = _item_lines(parsed, index)
        whole = {**implied, **item} if isinstance(item, dict) else item
        yield from _flattened(name, Parsed(whole, line, lines))


def _item_lines(parsed: Parsed, index: int) -> tuple[int, Lines]:
    items = parsed.lines.get("items") if isinstance(parsed.lines, dict) else None
    if items is not None and isinstance(items[1], list):
        return items[1][index]
    return parsed.line, None


@dataclass(frozen=True, slots=True)
class _Object:
    """One mapping of one file, on its way to a resource."""

    file: str
    parsed: Parsed
    border: _Border

    def read(self) -> Iterator[Resource | Fault]:
        """Yield the resource, or all that is wrong with it."""
        faults = tuple(self._faults())
        if faults:
            yield from faults
            return
        yield self._resource()

    @property
    def _kind(self) -> GroupKind:
        version = self.parsed.value.get("apiVersion")
        group = version.rpartition("/")[0] if isinstance(version, str) else ""
        return GroupKind(group, str(self.parsed.value.get("kind") or ""))

    def _origin(self) -> Origin:
        known = model_of(self._kind) is not None
        return Origin(self.file, self.parsed.line, dict(_field_lines(self.parsed.lines)) if known else {})

    def _resource(self) -> Resource:
        value, kind = self.parsed.value, self._kind
        namespace = Namespace("")
        if self.border.namespaced(kind):
            namespace = Namespace(value["metadata"].get("namespace") or self.border.default)
            value = {**value, "metadata": {**value["metadata"], "namespace": namespace}}
        identity = identified(kind.group, kind.kind, namespace, value["metadata"]["name"])
        return Resource(identity, value, self._origin())

    def _faults(self) -> Iterator[Fault]:
        value, lines = self.parsed.value, dict(_field_lines(self.parsed.lines, depth=2))
        wrong = tuple(mismatches(value, model_of(self._kind) or Manifest))
        if wrong:
            lines = dict(_field_lines(self.parsed.lines))
        origin = Origin(self.file, self.parsed.line, lines)
        yield from (
            Fault(self.file, origin.line_of(path), f"{path or 'the manifest'}: {what}") for path, what in wrong
        )
        if any(
            str(path) in {"apiVersion", "kind", "metadata"} or path.startswith("metadata.n") for path, _ in wrong
        ):
            return
        for path, what in self._missing():
            yield Fault(self.file, origin.line_of(path), what)

    def _missing(self) -> Iterator[tuple[FieldPath, str]]:
        """Check who the object says it is (kubectl refuses the same)."""
        version, metadata = self.parsed.value.get("apiVersion"), self.parsed.value.get("metadata") or {}
        name, namespace = metadata.get("name"), metadata.get("namespace")
        if not version:
            yield FieldPath("apiVersion"), "apiVersion is missing; write the group and version of the kind"
        elif fault := api_version_fault(version):
            yield FieldPath("apiVersion"), fault
        if not self.parsed.value.get("kind"):
            yield FieldPath("kind"), "kind is missing; write what this object is"
        if self._kind.group == _KUSTOMIZE:
            yield (
                FieldPath("kind"),
                "this is for kustomize; pass its output: kubectl kustomize DIR | safeapply ... -f -",
            )
        elif not name:
            yield FieldPath("metadata"), _nameless(metadata)
        else:
            yield from self._misnamed(name, namespace)
        if (
            namespace
            and self.border.enforce
            and namespace != self.border.default
            and self.border.namespaced(self._kind)
        ):
            yield FieldPath("metadata.namespace"), _contradiction(namespace, self.border.default)

    def _misnamed(self, name: str, namespace: str | None) -> Iterator[tuple[FieldPath, str]]:
        """Yield what no object of Kubernetes is called, less what is told of a missing or broken field already."""
        version = self.parsed.value.get("apiVersion") or ""
        told = {"apiVersion"} if api_version_fault(version) else set()
        told |= set() if self._kind.kind else {"kind"}
        place = namespace or (self.border.default if self.border.namespaced(self._kind) else "")
        for field, reason in identifier_faults(self._kind, place, name):
            if field not in told:
                yield FieldPath(field), reason


def _nameless(metadata: dict[str, Any]) -> str:
    if metadata.get("generateName"):
        return "metadata.generateName cannot be applied: each run would make another object; give it metadata.name"
    return "metadata.name is missing; give the object a name"


def _contradiction(given: str, wanted: str) -> str:
    return (
        f'the namespace from the provided object "{given}" does not match the namespace "{wanted}". '
        f"You must pass '--namespace={given}' to perform this operation."
    )


def _field_lines(lines: Lines, path: str = "", *, depth: int = -1) -> Iterator[tuple[FieldPath, int]]:
    if depth == 0:
        return
    match lines:
        case dict():
            for key, (line, below) in lines.items():
                under = f"{path}.{key}" if path else key
                yield FieldPath(under), line
                if below is not None:
                    yield from _field_lines(below, under, depth=depth - 1)
        case list():
            for index, (line, below) in enumerate(lines):
                under = f"{path}[{index}]"
                yield FieldPath(under), line
                if below is not None:
                    yield from _field_lines(below, under, depth=depth - 1)
        case None:
            return


def _duplicates(resources: Iterable[Resource]) -> Iterator[Fault]:
    """Name both places of every object that is there twice, whatever the versions it is written in."""
    first: dict[ResourceId, Origin] = {}
    for resource in resources:
        origin = resource.origin
        if origin is None:
            continue
        known = first.setdefault(resource.id, origin)
        if known is not origin:
            place = f"{known.file}:{known.line}"
            yield Fault(origin.file, origin.line, f"{resource.id} is also at {place}; keep one of them")


def _all_names(sources: tuple[SourceText, ...]) -> str:
    if not sources:
        return "-f"
    more = len(sources) - 1
    return f"{sources[0].name} and {more} more" if more else sources[0].name
