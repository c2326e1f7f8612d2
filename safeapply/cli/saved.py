"""A plan in a file: what was asked for, what was planned, and what the cluster was then.

It is not carried out from the file, but made anew from what was asked for, and carried out if it is the same, word
for word, in a cluster that is the same: so what runs has been proved by the version that runs it.

Whoever can write the file can ask for something else in it. So it says what is wanted and never how that is
checked, its manifests go through the same border as files, and it is consent only together with the digest that
was printed when it was saved; without that, what it comes to is shown, and asked for.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import shlex
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from safeapply import __version__
from safeapply.adapters.bounded import read_file
from safeapply.adapters.textfiles import check_writable, replace_text
from safeapply.commands.inputs import Pruning
from safeapply.commands.planning import Planned, Wanted
from safeapply.errors import Fault, ManifestsError, StalePlanError, UsageError
from safeapply.istio.kinds import POD
from safeapply.plans.rights import LISTED_KINDS
from safeapply.report.plan_json import plan_document
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Document, Namespace, Resource
from safeapply.resources.secrets import SECRET
from safeapply.rollout.ground import digest_of

__all__ = ["Request", "Saved", "check_target", "load", "save"]

FORMAT: Final = "2"
SHOWN: Final = 10
PRIVATE: Final = 0o600
DIGEST: Final = "sha256:"
LONGEST_SOAK: Final = 86_400.0


Version: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z.+-]{1,40}$")]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A mapping of the file, which holds these fields and no others."""


class _Pruning(_Part, frozen=True):
    prune: bool
    selector: str | None
    applyset: str | None


class Request(_Part, frozen=True):
    """What was asked for, beside the files; nothing of it says what is checked."""

    pruning: _Pruning
    namespace: str
    root_namespace: str
    soak_seconds: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_SOAK)]

    @classmethod
    def of(cls, pruning: Pruning, namespace: str, root_namespace: str, soak_seconds: float) -> Request:
        """Return what is to be saved of the options."""
        asked = _Pruning(pruning.prune, pruning.selector, pruning.applyset)
        return cls(asked, namespace, root_namespace, soak_seconds)

    def wanted(self, manifests: tuple[Resource, ...], *, checked: bool) -> Wanted:
        """Return it as a plan is made of it."""
        pruning = Pruning(self.pruning.prune, self.pruning.selector, self.pruning.applyset)
        return Wanted(
            manifests,
            pruning.doomed(manifests),
            Namespace(self.root_namespace),
            self.soak_seconds,
            applyset=pruning.reference(Namespace(self.namespace)),
            checked=checked,
        )


class _Touched(_Part, frozen=True):
    uid: str | None
    resource_version: str

    def __str__(self) -> str:
        return f"uid {self.uid}, resourceVersion {self.resource_version}"


class _File(_Part, frozen=True):
    format_version: str
    made_by: Version
    request: Request
    manifests: list[dict[str, Any]]
    plan: dict[str, Any]
    touched: dict[str, _Touched]
    """Of each live object that the plan writes, the uid and the resourceVersion that it saw."""
    used: dict[str, str]
    """A digest of each live object that the evaluation used."""


class _Format(msgspec.Struct, rename="camel"):
    """As much of a file as every version understands."""

    format_version: str
    made_by: Version = "another-version"


@dataclass(frozen=True, slots=True)
class Saved:
    """A plan that was read from a file."""

    path: Path
    digest: str
    """Of the bytes, as ``sha256:...``."""
    file: _File
    manifests: tuple[Resource, ...]

    def wanted(self, root_namespace: str, *, checked: bool) -> Wanted:
        """Return what the plan was made for.

        Raises:
            UsageError: it was made for another root namespace than the command line says.
        """
        saved = self.file.request.root_namespace
        if saved != root_namespace:
            raise UsageError(
                f"{self.path}: made for Istio in {saved!r}, and not in {root_namespace!r}; give -i as it was given "
                "to plan"
            )
        return self.file.request.wanted(self.manifests, checked=checked)

    def agree(self, digest: str) -> None:
        """Return if the file is the one whose digest was printed when it was saved.

        Raises:
            UsageError: it is not.
        """
        if not hmac.compare_digest(digest.encode(), self.digest.encode()):
            raise UsageError(
                f"--digest {digest}: {self.path} is not the plan that this was printed for; look at it by "
                f"`safeapply apply {shlex.quote(str(self.path))}`, which asks, or make it again"
            )

    def check(self, made: Planned) -> None:
        """Return if a plan that was made just now is the saved one, in a cluster that is as it was.

        One that is refused is not carried out either way, and says why itself.

        Raises:
            StalePlanError: it is not; what has changed is named.
        """
        stale = () if made.plan.refusals else tuple(self._stale(made))
        if stale:
            more = (f"and {len(stale) - SHOWN} more",) if len(stale) > SHOWN else ()
            raise StalePlanError((*stale[:SHOWN], *more))

    def _stale(self, made: Planned) -> Iterator[str]:
        touched, used, then = _touched(made), _used(made), self.file
        for one in sorted(then.touched.keys() | touched.keys()):
            before, now = then.touched.get(one), touched.get(one)
            if before != now:
                yield f"{one}: {before or 'absent'} in the plan, {now or 'absent'} now"
        for one in sorted(then.used.keys() | used.keys()):
            if then.used.get(one) != used.get(one) and then.touched.get(one) == touched.get(one):
                how = "is new" if one not in then.used else "is gone" if one not in used else "is another"
                yield f"{one}, which the plan depends on, {how}"
        if then.plan != _plain(plan_document(made.plan)):
            yield f"what is planned now is not what safeapply {then.made_by} has saved; make the plan again"


def check_target(path: Path) -> None:
    """Return if a plan can be saved there, before one is made.

    Raises:
        UsageError: it cannot, or what is there is no regular file: whoever made the link would choose what is
            written over.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise UsageError(f"--out {path}: there is something else than a file; name a new one")
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UsageError(f"--out {path}: {error.strerror}") from error
    try:
        check_writable(path)
    except OSError as error:
        raise UsageError(f"--out {path}: {error.strerror}") from error


def save(path: Path, request: Request, wanted: Wanted, made: Planned) -> str:
    """Write a plan to a file that only its owner can read, and return its digest.

    Raises:
        UsageError: it holds a Secret, or the file cannot be written.
    """
    secret = next((one for one in wanted.manifests if one.id.group_kind == SECRET), None)
    if secret is not None:
        raise UsageError(
            f"--out {path}: a saved plan would hold the values of {secret.id}; apply Secrets by themselves"
        )
    file = _File(
        FORMAT,
        __version__,
        request,
        [dict(one.document) for one in wanted.manifests],
        _plain(plan_document(made.plan)),
        dict(_touched(made)),
        dict(_used(made)),
    )
    text = msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"
    try:
        check_target(path)
        replace_text(path, text.decode(), mode=PRIVATE)
    except OSError as error:
        raise UsageError(f"--out {path}: {error.strerror}") from error
    return _digest(text)


def load(path: Path) -> Saved:
    """Read a plan from a file.

    Raises:
        UsageError: there is none, or it is not one that this version understands.
        ManifestsError: it holds manifests that are none.
    """
    try:
        raw = read_file(str(path))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; a plan is saved by safeapply plan --out FILE") from error
    try:
        version = msgspec.json.decode(raw, type=_Format)
        if version.format_version != FORMAT:
            raise UsageError(f"{path}: saved by safeapply {version.made_by}; make the plan again")
        file = msgspec.json.decode(raw, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"{path}: not a saved plan ({error}); save one by safeapply plan --out FILE, and give manifests with -f"
        ) from error
    return Saved(path, _digest(raw), file, tuple(_manifests(path, file.manifests)))


def _manifests(path: Path, documents: list[dict[str, Any]]) -> Iterator[Resource]:
    """Read manifests as those of files are read: what the file says is as little believed as they are."""
    source = SourceText(str(path), json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))
    for one in read_manifests([source], default_namespace=Namespace("default")):
        if one.id.group_kind == SECRET:
            raise ManifestsError((Fault(str(path), 0, f"a saved plan holds no Secrets; {one.id} was put in"),))
        yield Resource(one.id, one.document)


def _digest(raw: bytes) -> str:
    return DIGEST + hashlib.sha256(raw).hexdigest()


def _touched(made: Planned) -> Mapping[str, _Touched]:
    live = ((one, made.live.get(one)) for one in made.plan.versions)
    return {
        str(one): _Touched(resource.metadata.get("uid"), resource.resource_version)
        for one, resource in live
        if resource is not None
    }


def _used(made: Planned) -> Mapping[str, str]:
    kinds = set(LISTED_KINDS) - {POD}
    return {str(one): digest_of(each).hex()[:24] for one, each in made.live.items() if one.group_kind in kinds}


def _plain(document: Document) -> dict[str, Any]:
    """Return what is left of a document in a file: no tuples."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    return plain
