"""Kubernetes' label selectors, as ``LabelSelector`` has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, assert_never

import msgspec

__all__ = ["LabelSelector", "Requirement", "Requirements", "selects"]


class Requirement(msgspec.Struct, frozen=True, rename="camel"):
    """What one label has to be."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()

    def met_by(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels are so; what is not there is in no set (apimachinery ``Requirement``)."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels
            case _:
                assert_never(self.operator)


Requirements: TypeAlias = tuple[Requirement, ...]


class LabelSelector(msgspec.Struct, frozen=True, rename="camel"):
    """What labels have to be; without a requirement all are."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[Requirement, ...] = ()

    @property
    def requirements(self) -> Requirements:
        """All that it asks for; ``matchLabels`` is short for sets of one value."""
        equal = (Requirement(key, "In", (value,)) for key, value in sorted(self.match_labels.items()))
        return (*equal, *self.match_expressions)


def selects(requirements: Requirements, labels: Mapping[str, str]) -> bool:
    """Tell whether every requirement is met."""
    return all(one.met_by(labels) for one in requirements)
