"""Two teams with exactly the rights that ``safeapply rbac`` prints, on a real API server: each can only wait."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from safeapply.plans.records import record_name
from tests.real.controlplane import until
from tests.real.mesh import SYSTEM, Mesh, Result, ended
from tests.real.record import LINES

RUNS = count(1)
"""Each pair of teams has namespaces of its own: those of the last test may still be going."""
TYPE = "safeapply/rollout"
FORBIDDEN, DONE = "forbidden", "done"
NEW_LEASE = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "istio-leader"}}


@dataclass(frozen=True, slots=True)
class Team:
    """A namespace, the account that deploys to it, and its files."""

    mesh: Mesh
    name: str
    files: Path

    @property
    def user(self) -> str:
        """The account, as the API server calls it."""
        return f"system:serviceaccount:{self.name}:ci"

    @property
    def secret(self) -> str:
        """The name of the Secrets with its records."""
        return record_name(self.user)

    @property
    def kubeconfig(self) -> Path:
        """The account's."""
        return self.mesh.control_plane.directory / f"{self.name}.kubeconfig"

    def wants(self, version: str) -> None:
        """Let the files say this."""
        host = f"reviews.{self.name}.svc.cluster.local"
        subset = {"name": version, "labels": {"version": version}}
        port = {"name": "http", "port": 9080}
        route = {"destination": {"host": host, "subset": version}}
        documents = [
            self._document("v1", "ConfigMap", "settings", data={"version": version}),
            self._document("v1", "Service", "reviews", spec={"selector": {"app": "reviews"}, "ports": [port]}),
            self._document(
                "networking.istio.io/v1",
                "VirtualService",
                "reviews",
                spec={"hosts": [host], "http": [{"route": [route]}]},
            ),
            self._document(
                "networking.istio.io/v1", "DestinationRule", "reviews", spec={"host": host, "subsets": [subset]}
            ),
        ]
        self.files.mkdir(exist_ok=True)
        (self.files / "all.yaml").write_text(yaml.safe_dump_all(documents))

    def safeapply(self, *arguments: str) -> Result:
        """Run safeapply as the account."""
        return self.mesh.safeapply(*arguments, kubeconfig=self.kubeconfig)

    def apply(self, version: str, *more: str) -> Result:
        """Roll out a version."""
        self.wants(version)
        return self.safeapply("apply", "-f", str(self.files), "--yes", "--soak", "0", *more)

    def rolled_out(self, version: str) -> None:
        """Roll out a version; it has to go well."""
        done = self.apply(version)
        assert done.code == 0, done.err

    def version(self) -> str:
        """Return the version that is live."""
        return str(self.mesh.get("configmap", "settings", namespace=self.name)["data"]["version"])

    def subsets(self) -> list[str]:
        """Return the subsets that are live."""
        rule = self.mesh.get("destinationrule", "reviews", namespace=self.name)
        return sorted(subset["name"] for subset in rule["spec"]["subsets"])

    def kubectl(self, *arguments: str, given: object = None) -> str:
        """Run kubectl as the account, and return what came of it: done, forbidden, or what else was wrong."""
        said = subprocess.run(
            ["kubectl", *arguments, *(("-f", "-") if given is not None else ())],
            input=json.dumps(given),
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
        )
        return DONE if said.returncode == 0 else FORBIDDEN if "is forbidden: User" in said.stderr else said.stderr

    def _document(self, version: str, kind: str, name: str, **content: Any) -> Mapping[str, Any]:
        return {
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": name, "namespace": self.name},
            **content,
        }


@pytest.fixture
def teams(mesh: Mesh, tmp_path: Path) -> Iterator[tuple[Team, Team]]:
    """Hand over two teams; an administrator has applied what is printed for each, and nothing else."""
    run = next(RUNS)
    made = Team(mesh, f"red-{run}", tmp_path / "red"), Team(mesh, f"blue-{run}", tmp_path / "blue")
    printed: list[str] = []
    for team in made:
        team.wants("v1")
        mesh.kubectl("create", "namespace", team.name)
        mesh.kubectl("create", "serviceaccount", "ci", "--namespace", team.name)
        token = mesh.control_plane.token(team.name, "ci")
        assert mesh.control_plane.kubeconfig_of(team.name, token=token) == team.kubeconfig
        account = ("--serviceaccount", f"{team.name}:ci", "--name", f"safeapply-{team.name}")
        said = mesh.safeapply("rbac", "-f", str(team.files), *account)
        assert said.code == 0, said.err
        printed.append(said.out)
        mesh.kubectl("apply", "-f", "-", given=said.out)
    yield made
    for text in printed:
        mesh.kubectl("delete", "-f", "-", given=text)
    for team in made:
        mesh.kubectl("delete", "namespace", team.name, "--wait=false")
        mesh.kubectl("delete", "secret", team.secret, "--namespace", SYSTEM, "--ignore-not-found")


def records(team: Team, namespace: str) -> Mapping[str, Any]:
    """Return the Secret of a team's records, as an administrator sees it."""
    return team.mesh.get("secret", team.secret, namespace=namespace)


def test_a_rollout_is_recorded_settled_and_rolled_back(teams: tuple[Team, Team]) -> None:
    """Create, mark, roll back, with the printed rights; values are in the team's namespace, the state elsewhere."""
    red, _ = teams
    for version in ("v1", "v2", "v3"):
        red.rolled_out(version)
    head = records(red, SYSTEM)
    assert (head["type"], head["metadata"]["labels"]["safeapply/state"]) == (TYPE, "settled")
    assert [one["state"] for one in json.loads(base64.b64decode(head["data"]["head"]))["rollouts"]] == [
        "settled"
    ] * 3
    assert set(records(red, red.name)["data"]) == {f"{SYSTEM}.2", f"{SYSTEM}.3"}
    versions = []
    for _ in range(2):
        back = red.safeapply("rollback", "--yes", "--soak", "0")
        assert back.code == 0, back.err
        versions.append(red.version())
    assert versions == ["v2", "v1"]
    states = [
        one["state"] for one in json.loads(base64.b64decode(records(red, SYSTEM)["data"]["head"]))["rollouts"]
    ]
    assert states == ["rolled-back", "rolled-back", "settled"]
    LINES.append("a record on the API server: created, settled and rolled back twice with the printed rights")


def test_what_a_team_can_do_to_the_other_is_to_let_it_wait(teams: tuple[Team, Team]) -> None:
    """Each attempt is made with the other's own account; of what is red's, blue shares the Lease alone."""
    red, blue = teams
    red.rolled_out("v1")
    red.rolled_out("v2")
    before = records(red, SYSTEM), records(red, red.name)
    part = {"op": "replace", "path": "/metadata/labels", "value": {"safeapply/state": "under-way"}}
    own = ("--namespace", SYSTEM)
    forged = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": red.secret, "namespace": SYSTEM},
        "type": TYPE,
    }
    fresh = {**forged, "metadata": {"name": "safeapply-forged", "namespace": SYSTEM}}
    revision = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": "safeapply-9", "namespace": SYSTEM},
        "revision": 9,
    }
    lease = {"spec": {"holderIdentity": "blue"}}
    serverside = ("apply", "--server-side", "--force-conflicts")
    attempts = {
        "read red's records": blue.kubectl("get", "secret", red.secret, *own),
        "read red's values": blue.kubectl("get", "secret", red.secret, "--namespace", red.name),
        "list secrets": blue.kubectl("get", "secrets", *own),
        "list red's secrets": blue.kubectl("get", "secrets", "--namespace", red.name),
        "patch red's records": blue.kubectl(
            "patch", "secret", red.secret, *own, "--type=json", "-p", json.dumps([part])
        ),
        "apply red's records": blue.kubectl(*serverside, given=forged),
        "apply another record": blue.kubectl(*serverside, given=fresh),
        "create another record": blue.kubectl("create", given=fresh),
        "delete red's records": blue.kubectl("delete", "secret", red.secret, *own),
        "create a ControllerRevision": blue.kubectl("create", given=revision),
        "patch red's objects": blue.kubectl(
            "patch", "configmap", "settings", "--namespace", red.name, "--type=merge", "-p", "{}"
        ),
        "delete red's objects": blue.kubectl("delete", "destinationrule", "reviews", "--namespace", red.name),
        "create another Lease": blue.kubectl("create", *own, given=NEW_LEASE),
        "apply another Lease": blue.kubectl(*serverside, *own, given=NEW_LEASE),
        "delete the Lease": blue.kubectl("delete", "lease", "safeapply", *own),
        "impersonate red": blue.kubectl("get", "secret", red.secret, *own, "--as", red.user),
        "write its own records": blue.kubectl(
            *serverside, given={**forged, "metadata": {"name": blue.secret, "namespace": SYSTEM}}
        ),
        "hold the Lease": blue.kubectl(
            "patch", "lease", "safeapply", *own, "--type=merge", "-p", json.dumps(lease)
        ),
    }
    allowed = {what for what, came in attempts.items() if came == DONE}
    LINES.extend(f"the other team tries to {what}: {came}" for what, came in attempts.items())
    assert allowed == {"write its own records", "hold the Lease"}
    assert {came for what, came in attempts.items() if what not in allowed} == {FORBIDDEN}
    assert (records(red, SYSTEM), records(red, red.name)) == before


def test_a_team_goes_back_from_nobody_elses_rollout(teams: tuple[Team, Team]) -> None:
    """Not by default, and not by name either: it may not read the record. Nothing of the other's changes."""
    red, blue = teams
    red.rolled_out("v1")
    red.rolled_out("v2")
    nothing = blue.safeapply("rollback", "--yes")
    assert (nothing.code, f"none of {blue.user} is recorded in {SYSTEM}" in nothing.err) == (2, True), nothing.err
    named = blue.safeapply("rollback", "--yes", "--by", red.user)
    assert (named.code, f"get secrets {red.secret} in namespace {SYSTEM}" in named.err) == (1, True), named.err
    assert red.version() == "v2"
    red.mesh.kubectl("delete", "secret", record_name("admin"), "--namespace", SYSTEM, "--ignore-not-found")
    seen = red.mesh.safeapply("rollback", "--yes")
    assert (seen.code, f"--by {red.user}: rollout 2, settled" in seen.err) == (2, True), seen.err


def test_an_administrator_goes_back_from_a_named_rollout_and_sees_the_plan(teams: tuple[Team, Team]) -> None:
    """With ``--yes``, too, as it comes from somebody else's record."""
    red, _ = teams
    red.rolled_out("v1")
    red.rolled_out("v2")
    back = red.mesh.safeapply("rollback", "--yes", "--soak", "0", "--force-conflicts", "--by", red.user)
    assert back.code == 0, back.err
    assert ("Plan:" in back.err, red.version()) == (True, "v1")
    assert records(red, SYSTEM)["metadata"]["labels"]["safeapply/state"] == "rolled-back"


def test_who_waits_for_the_other_team_goes_on_when_the_lease_is_free(teams: tuple[Team, Team]) -> None:
    """A Lease that is held keeps a rollout waiting, and costs it nothing else."""
    red, blue = teams
    red.rolled_out("v1")
    take(blue)
    waited = red.apply("v2", "--lock-timeout", "1s")
    assert (waited.code, "blue is rolling out to this mesh" in waited.err) == (6, True), waited.err
    assert red.version() == "v1"
    free(blue)
    red.rolled_out("v2")
    assert red.version() == "v2"


def test_who_loses_the_lease_half_way_stops_and_goes_on_when_it_is_free(teams: tuple[Team, Team]) -> None:
    """The other team takes it while a step waits: nothing more is written, and the same command does the rest."""
    red, blue = teams
    red.rolled_out("v1")
    red.wants("v2")
    apply = ("apply", "-f", str(red.files), "--yes", "--soak", "20s")
    rollout = red.mesh.command(*apply, kubeconfig=red.kubeconfig)
    until(lambda: red.subsets() == ["v1", "v2"], "the rollout has widened")
    take(blue)
    stopped = ended(rollout)
    assert (stopped.code, "was taken over by another rollout" in stopped.err) == (6, True), stopped.err
    assert red.subsets() == ["v1", "v2"]
    free(blue)
    red.rolled_out("v2")
    assert red.subsets() == ["v2"]
    back = red.safeapply("rollback", "--yes", "--soak", "0")
    assert (back.code, red.subsets()) == (0, ["v1"]), back.err


def take(team: Team) -> None:
    """Hold the Lease for an hour, as a team's account may."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lease(team, holderIdentity="blue", leaseDurationSeconds=3600, renewTime=now, acquireTime=now)


def free(team: Team) -> None:
    """Give the Lease back."""
    lease(team, **dict.fromkeys(("holderIdentity", "leaseDurationSeconds", "renewTime", "acquireTime")))


def lease(team: Team, **content: Any) -> None:
    """Write to the Lease by kubectl."""
    place = ("--namespace", SYSTEM, "--type=merge", "-p", json.dumps({"spec": content}))
    assert team.kubectl("patch", "lease", "safeapply", *place) == DONE
