"""From what names manifests to manifests: what is desired, and what shall go."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from safeapply.adapters.files import read_sources
from safeapply.adapters.kustomize import kustomized
from safeapply.errors import UsageError
from safeapply.plans.plan import Phase
from safeapply.plans.pruning import is_prunable
from safeapply.resources.manifests import read_manifests
from safeapply.resources.objects import Namespace, Resource
from safeapply.resources.sources import SourceText
from safeapply.rollout.membership import Reference

__all__ = ["Files", "Pruning", "manifests_of", "phases_of"]

DEFAULT = Namespace("default")
DEFAULT_PARENT = "secrets"
"""What kubectl takes for the parent of an apply set."""


def manifests_of(
    filenames: Sequence[str] | None,
    *,
    recursive: bool,
    namespace: str | None,
    default: Namespace = DEFAULT,
    texts: Sequence[SourceText] = (),
) -> tuple[Resource, ...]:
    """Read every file named by ``-f``, and texts that are there already.

    Raises:
        UsageError: no file was named.
        ManifestsError: every fault of every file.
    """
    if not filenames and not texts:
        raise UsageError("no files given; name manifests with -f FILE, -f DIR, -f - or -k DIR")
    sources = _sources(filenames or (), recursive=recursive)
    return read_manifests(
        (*sources, *texts),
        default_namespace=Namespace(namespace) if namespace else default,
        enforce_namespace=namespace is not None,
    )


def _sources(filenames: Sequence[str], *, recursive: bool) -> tuple[SourceText, ...]:
    # In a process without standard input Python has none either.
    stdin = sys.stdin.buffer if sys.stdin is not None else None
    return read_sources(filenames, recursive=recursive, stdin=stdin)


@dataclass(frozen=True, slots=True)
class Files:
    """What ``-f`` and its company name, not yet read."""

    filenames: Sequence[str] | None
    recursive: bool
    namespace: str | None
    texts: tuple[SourceText, ...] = ()
    """What a script has at hand, beside the files."""
    kustomize: str | None = None
    """A kustomization, instead of files."""

    @property
    def named(self) -> bool:
        """Whether there is anything to read."""
        return bool(self.filenames or self.texts or self.kustomize)

    def loaded(self) -> Files:
        """Return the same with every text at hand.

        What waits for a pipe or for a program is done with before a rollout has taken over what a signal does.

        Raises:
            UsageError: files and a kustomization were named.
            ManifestsError: every path that cannot be read.
        """
        texts = (*_sources(self.filenames or (), recursive=self.recursive), *self.texts, *self._built())
        return replace(self, filenames=None, kustomize=None, texts=texts)

    def _built(self) -> tuple[SourceText, ...]:
        if self.kustomize is not None and self.filenames:
            raise UsageError("-k and -f exclude each other, as for kubectl; put the files into the kustomization")
        return () if self.kustomize is None else (kustomized(self.kustomize),)

    def read(self, default: Namespace) -> tuple[Resource, ...]:
        """Return the objects; those that name no namespace go to ``-n``, or to the context's.

        Raises:
            UsageError: no file was named, or files and a kustomization.
            ManifestsError: every fault of every file.
        """
        built = self._built()
        return manifests_of(
            self.filenames,
            recursive=self.recursive,
            namespace=self.namespace,
            default=default,
            texts=(*self.texts, *built),
        )


@dataclass(frozen=True, slots=True)
class Pruning:
    """What ``--prune`` and its company ask for."""

    prune: bool = False
    selector: str | None = None
    applyset: str | None = None

    def doomed(self, manifests: Iterable[Resource]) -> Callable[[Resource], bool]:
        """Return what tells which live objects ``-l`` prunes: those with the labels that no file holds.

        Raises:
            UsageError: pruning without saying what, or a selector that is not equality-based.
        """
        self._check()
        if not self.prune or self.applyset is not None:
            return lambda _: False
        labels = _labels(self.selector or "")
        kept = {one.id for one in manifests}
        return lambda one: one.id not in kept and labels.items() <= dict(one.labels).items() and is_prunable(one)

    def reference(self, namespace: Namespace) -> Reference | None:
        """Return the parent that ``--applyset`` names, as ``NAME`` or ``RESOURCE/NAME``.

        Raises:
            UsageError: it is blank, or goes together with something that it cannot go with.
        """
        self._check()
        if self.applyset is None:
            return None
        resource, slash, name = self.applyset.rpartition("/")
        if not name or (slash and not resource) or "/" in resource:
            raise UsageError(f"--applyset {self.applyset}: write NAME, or RESOURCE/NAME as in configmaps/shop")
        return Reference(resource or DEFAULT_PARENT, name, namespace)

    def _check(self) -> None:
        if self.applyset is not None and not self.prune:
            raise UsageError("--applyset needs --prune: it says what is pruned")
        if self.applyset is not None and self.selector:
            raise UsageError("--applyset and -l exclude each other: both say what --prune may delete")
        if self.prune and self.applyset is None and not self.selector:
            raise UsageError("--prune needs --applyset NAME or -l LABELS: it deletes only what you name")


def _labels(selector: str) -> Mapping[str, str]:
    pairs = [part.partition("=") for part in selector.replace("==", "=").split(",")]
    if any(not key or not equals or key.endswith("!") for key, equals, _ in pairs):
        raise UsageError(f"-l {selector}: write labels as app=shop,tier=web")
    return {key.strip(): value.strip() for key, _, value in pairs}


def phases_of(text: str | None) -> frozenset[Phase]:
    """Return the phases that a list with commas names; none for all of them.

    Raises:
        UsageError: there is no such phase.
    """
    words = [word.strip() for word in text.split(",")] if text is not None else []
    known = [phase.value for phase in Phase]
    if set(words) - set(known):
        raise UsageError(f"--phase {text}: write one or more of {', '.join(known)}, with commas")
    return frozenset(map(Phase, words))
