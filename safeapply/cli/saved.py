"""A plan in a file: what was asked for, what was planned, and what the cluster was then.

It is not carried out from the file, but made anew from what was asked for, and carried out if it is the same, word
for word, in a cluster that is the same: so what runs has been proved by the version that runs it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from safeapply import __version__
from safeapply.commands.inputs import Pruning
from safeapply.commands.planning import Planned, Wanted
from safeapply.errors import StalePlanError, UsageError
from safeapply.istio.kinds import POD
from safeapply.plans.rights import LISTED_KINDS
from safeapply.report.plan_json import plan_document
from safeapply.resources.objects import Document, Namespace, Resource, ResourceId
from safeapply.resources.secrets import SECRET
from safeapply.rollout.ground import digest_of

__all__ = ["Request", "Saved", "load", "save"]

FORMAT: Final = "1"
SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, beside the files."""

    pruning: Pruning
    namespace: str
    root_namespace: str
    soak_seconds: float
    checked: bool = True

    def wanted(self, manifests: tuple[Resource, ...]) -> Wanted:
        """Return it as a plan is made of it."""
        return Wanted(
            manifests,
            self.pruning.doomed(manifests),
            Namespace(self.root_namespace),
            self.soak_seconds,
            applyset=self.pruning.reference(Namespace(self.namespace)),
            checked=self.checked,
        )


@dataclass(frozen=True, slots=True)
class Saved:
    """The content of the file."""

    made_by: str
    request: Request
    manifests: tuple[Document, ...]
    plan: Document
    touched: Mapping[str, Document]
    """Of each live object that the plan writes, the uid and the resourceVersion that it saw."""
    used: Mapping[str, str]
    """A digest of each live object that the evaluation used."""

    @property
    def wanted(self) -> Wanted:
        """What the plan was made for."""
        return self.request.wanted(tuple(map(_resource, self.manifests)))

    def check(self, made: Planned) -> None:
        """Return if a plan that was made just now is the saved one, in a cluster that is as it was.

        Raises:
            StalePlanError: it is not; what has changed is named.
        """
        stale = tuple(self._stale(made))
        if stale:
            more = (f"and {len(stale) - SHOWN} more",) if len(stale) > SHOWN else ()
            raise StalePlanError((*stale[:SHOWN], *more))

    def _stale(self, made: Planned) -> Iterator[str]:
        touched, used = _touched(made), _used(made)
        for one in sorted(self.touched.keys() | touched.keys()):
            before, now = self.touched.get(one), touched.get(one)
            if before != now:
                yield f"{one}: {_told(before)} in the plan, {_told(now)} now"
        for one in sorted(self.used.keys() | used.keys()):
            if self.used.get(one) != used.get(one) and self.touched.get(one) == touched.get(one):
                how = "is new" if one not in self.used else "is gone" if one not in used else "is another"
                yield f"{one}, which the plan depends on, {how}"
        if self.plan != _plain(plan_document(made.plan)):
            yield f"what is planned now is not what safeapply {self.made_by} has saved; make the plan again"


def save(path: Path, request: Request, wanted: Wanted, made: Planned) -> None:
    """Write a plan to a file that only its owner can read.

    Raises:
        UsageError: it holds a Secret, or the file cannot be written.
    """
    secret = next((one for one in wanted.manifests if one.id.group_kind == SECRET), None)
    if secret is not None:
        raise UsageError(
            f"--out {path}: a saved plan would hold the values of {secret.id}; apply Secrets by themselves"
        )
    document = {
        "formatVersion": FORMAT,
        "madeBy": __version__,
        "request": asdict(request),
        "manifests": [one.document for one in wanted.manifests],
        "plan": plan_document(made.plan),
        "touched": _touched(made),
        "used": _used(made),
    }
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise UsageError(f"--out {path}: {error.strerror}") from error


def load(path: Path) -> Saved:
    """Read a plan from a file.

    Raises:
        UsageError: there is none, or it is not one that this version understands.
    """
    try:
        document = json.loads(path.read_text())
        if document["formatVersion"] != FORMAT:
            raise UsageError(f"{path}: saved by safeapply {document.get('madeBy')}; make the plan again")
        asked = dict(document["request"])
        return Saved(
            str(document["madeBy"]),
            Request(**{**asked, "pruning": Pruning(**asked["pruning"])}),
            tuple(document["manifests"]),
            document["plan"],
            document["touched"],
            document["used"],
        )
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; a plan is saved by safeapply plan --out FILE") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path}: not a saved plan; save one by safeapply plan --out FILE, and give manifests with -f"
        ) from error


def _touched(made: Planned) -> Mapping[str, Document]:
    live = ((one, made.live.get(one)) for one in made.plan.versions)
    return {
        str(one): {"uid": resource.metadata.get("uid"), "resourceVersion": resource.resource_version}
        for one, resource in live
        if resource is not None
    }


def _used(made: Planned) -> Mapping[str, str]:
    kinds = set(LISTED_KINDS) - {POD}
    return {str(one): digest_of(each).hex()[:24] for one, each in made.live.items() if one.group_kind in kinds}


def _told(touched: Document | None) -> str:
    return f"uid {touched['uid']}, resourceVersion {touched['resourceVersion']}" if touched else "absent"


def _plain(document: Any) -> Any:  # noqa: ANN401  JSON
    """Return what is left of a document in a file: no tuples."""
    return json.loads(json.dumps(document))


def _resource(document: Document) -> Resource:
    group, _, _ = str(document["apiVersion"]).rpartition("/")
    metadata = document["metadata"]
    one = ResourceId(group, document["kind"], Namespace(metadata.get("namespace", "")), metadata["name"])
    return Resource(one, document)
