"""From the words of the command line to manifests: what is desired, and what shall go."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from safeapply.adapters.files import read_sources
from safeapply.errors import UsageError
from safeapply.istio.kinds import DESTINATION_RULE, GATEWAY, SERVICE_ENTRY, VIRTUAL_SERVICE
from safeapply.resources.manifests import read_manifests
from safeapply.resources.objects import Namespace, Resource

__all__ = ["doomed_by_prune", "manifests_of"]

DEFAULT = Namespace("default")
PRUNED_KINDS = frozenset({VIRTUAL_SERVICE, DESTINATION_RULE, GATEWAY, SERVICE_ENTRY})
"""What ``--prune`` may delete: nothing that a workload needs to run."""


def manifests_of(
    filenames: Sequence[str] | None, *, recursive: bool, namespace: str | None, default: Namespace = DEFAULT
) -> tuple[Resource, ...]:
    """Read every file named by ``-f``.

    Raises:
        UsageError: no file was named.
        ManifestsError: every fault of every file.
    """
    if not filenames:
        raise UsageError("no files given; name manifests with -f FILE, -f DIR or -f -")
    sources = read_sources(filenames, recursive=recursive, stdin=sys.stdin.buffer)
    return read_manifests(
        sources,
        default_namespace=Namespace(namespace) if namespace else default,
        enforce_namespace=namespace is not None,
    )


def doomed_by_prune(
    manifests: Iterable[Resource], *, prune: bool, selector: str | None
) -> Callable[[Resource], bool]:
    """Return what tells which live objects ``--prune`` deletes: those with the labels that no file holds.

    Raises:
        UsageError: pruning without a selector, or a selector that is not equality-based.
    """
    if not prune:
        return lambda _: False
    labels = _labels(selector)
    kept = {one.id for one in manifests}
    return lambda one: (
        one.id.group_kind in PRUNED_KINDS and one.id not in kept and labels.items() <= dict(one.labels).items()
    )


def _labels(selector: str | None) -> Mapping[str, str]:
    if not selector:
        raise UsageError("--prune needs -l: it deletes only what carries the labels that you name")
    pairs = [part.partition("=") for part in selector.replace("==", "=").split(",")]
    if any(not key or not equals or key.endswith("!") for key, equals, _ in pairs):
        raise UsageError(f"-l {selector}: write labels as app=shop,tier=web")
    return {key.strip(): value.strip() for key, _, value in pairs}
