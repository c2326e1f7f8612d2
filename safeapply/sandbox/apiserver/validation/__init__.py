"""What the API server refuses in objects of the right form: names, labels, and the rules of each kind. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from safeapply.sandbox.apiserver.kinds import Kind
from safeapply.sandbox.apiserver.validation.core import CORE_RULES
from safeapply.sandbox.apiserver.validation.faults import Fault
from safeapply.sandbox.apiserver.validation.metadata import faults_of_change, faults_of_metadata, faults_of_name
from safeapply.sandbox.apiserver.validation.workloads import WORKLOAD_RULES

__all__ = ["faults_of"]


def faults_of(kind: Kind, live: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with an object that is to be stored.

    Args:
        kind: what it is.
        live: the object as it is stored; None where there is none yet.
        new: the object, with its defaults filled in.
    """
    if live is None:
        yield from faults_of_name(kind, new["metadata"])
    else:
        yield from faults_of_change(live["metadata"], new["metadata"])
    yield from faults_of_metadata(new["metadata"])
    rule = CORE_RULES.get(kind.group_kind) or WORKLOAD_RULES.get(kind.group_kind)
    if rule is not None:
        yield from rule(live, new)
