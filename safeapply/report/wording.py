"""The words for objects, proxies and expectations that every report shares."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from safeapply.istio.proxies import ProxyClass
from safeapply.resources.objects import ResourceId
from safeapply.xds.expectations import Expectation
from safeapply.xds.words import expectation

__all__ = ["counted", "expectation", "proxies", "rolled_out", "short", "together"]

_WITHOUT_GROUP = frozenset({"", "networking.istio.io"})


def counted(number: int, noun: str) -> str:
    """Return ``1 step``, ``3 steps``, ``2 proxies``."""
    if number == 1:
        return f"1 {noun}"
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number} {plural}"


def short(resource: ResourceId) -> str:
    """Return ``destinationrule default/reviews``; the group only where it is not plain from the kind."""
    kind = resource.kind.lower() if resource.group in _WITHOUT_GROUP else str(resource.group_kind)
    place = f"{resource.namespace}/{resource.name}" if resource.namespace else resource.name
    return f"{kind} {place}"


def rolled_out(workload: ResourceId) -> str:
    """Return what a workload has to come to."""
    end = "complete" if workload.kind == "Job" else "rolled out, every replica available"
    return f"{short(workload)} {end}"


def proxies(classes: Collection[ProxyClass] | None, *, most: int = 4) -> str:
    """Return which proxies a statement is about: ``every proxy``, or the first few classes by name."""
    if classes is None:
        return "every proxy"
    names = sorted(map(str, classes))
    if not names:
        return "no proxy"
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more classes" if more > 0 else "")


def together(expected: Iterable[Expectation]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the proxies, each with what they have to show: expectations together that are about the same ones."""
    by_proxies: dict[str, list[str]] = {}
    for one in expected:
        by_proxies.setdefault(proxies(one.classes), []).append(expectation(one))
    return tuple((where, tuple(told)) for where, told in by_proxies.items())
