"""The Istio objects of one directory as a resource of a Pulumi program, by a dynamic provider."""

from pathlib import Path
from typing import Any

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

import safeapply


class Rollouts(ResourceProvider):
    """Writes manifests in an order that loses no request; what leaves them goes last, by the set's labels."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Let a preview fail already, with the request that would."""
        refusals = safeapply.plan(news["manifests"], namespace=news["namespace"]).refusals
        return CheckResult(news, [CheckFailure("manifests", f"{one.request}; {one.remedy}") for one in refusals])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Compare texts; another namespace is another set."""
        moved = ["namespace"] if olds["namespace"] != news["namespace"] else []
        return DiffResult(changes=bool(moved) or olds["manifests"] != news["manifests"], replaces=moved)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Roll out."""
        return CreateResult(props["set"], self._applied(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Roll out."""
        return UpdateResult(self._applied(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Delete routes first, and what they name when no proxy names it any more."""
        safeapply.delete(props["manifests"], namespace=props["namespace"])

    def _applied(self, props: dict[str, Any]) -> dict[str, Any]:
        safeapply.apply(
            props["manifests"], namespace=props["namespace"], applyset=props["set"], on_timeout="rollback"
        )
        return props


class Mesh(Resource, name="Mesh"):
    """The manifests of a directory, as a set that bears the resource's name."""

    def __init__(self, name: str, directory: Path, namespace: str) -> None:
        manifests = "\n---\n".join(file.read_text() for file in sorted(directory.glob("*.yaml")))
        super().__init__(Rollouts(), name, {"manifests": manifests, "namespace": namespace, "set": name})


Mesh("mesh", Path("mesh"), "default")
