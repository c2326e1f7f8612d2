"""Objects as files to lay side by side, named and written as ``kubectl diff`` does (``pkg/cmd/diff``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from safeapply.plans.becoming import Versions
from safeapply.resources.objects import Document, Resource
from safeapply.resources.secrets import SECRET, masked_pair
from safeapply.visible import visible_lines

__all__ = ["side_by_side"]

UNSEEN = "# it differs from the other in what is not visible, and only there\n"
DUMPER: type[yaml.SafeDumper | yaml.CSafeDumper] = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper
"""PyYAML's own takes ten times as long."""


def side_by_side(
    versions: Iterable[Versions], *, managed_fields: bool = False
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the files of what is and of what will be, by name; an object that is not there has none.

    Args:
        versions: the objects.
        managed_fields: whether it is shown who owns which field.
    """
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for one in versions:
        old, new = _documents(one)
        for files, resource, document in ((before, one.before, old), (after, one.after, new)):
            if resource is not None:
                shown = document if managed_fields else _without_owners(document)
                files[_name(resource)] = _text(shown)
    return _visible_pair(before, after)


def _visible_pair(
    before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return what of the files a terminal may see; two that differ still do."""
    old, new = ({name: visible_lines(text) for name, text in files.items()} for files in (before, after))
    for name in old.keys() & new.keys():
        if old[name] == new[name] and before[name] != after[name]:
            new[name] += UNSEEN
    return old, new


def _documents(versions: Versions) -> tuple[Document, Document]:
    """Return both documents; of a Secret's values only whether they change."""
    one = versions.after or versions.before
    old, new = (each.document if each else {} for each in (versions.before, versions.after))
    return masked_pair(old, new) if one is not None and one.id.group_kind == SECRET else (old, new)


def _name(resource: Resource) -> str:
    group, _, version = resource.api_version.rpartition("/")
    parts = (*([group] if group else []), version, resource.id.kind, resource.id.namespace, resource.id.name)
    return ".".join(parts)


def _without_owners(document: Document) -> dict[str, Any]:
    metadata = {key: value for key, value in document["metadata"].items() if key != "managedFields"}
    return {**document, "metadata": metadata}


def _text(document: Mapping[str, Any]) -> str:
    text: str = yaml.dump(document, Dumper=DUMPER, default_flow_style=False, allow_unicode=True)
    return text
