"""What a rollout found is kept until it has been gone back to; a run that goes on adds to it, and takes nothing."""

from __future__ import annotations

import base64
import gzip
import json
import random
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeapply.commands.way_back import way_back
from safeapply.errors import ClusterError, ForbiddenError, Missing, UsageError
from safeapply.plans.found import UNFOLDED, Found, continued, decoded, encoded, found_by
from safeapply.plans.plan import Action, Operation, Phase, Plan, Step
from safeapply.plans.records import (
    HEAD,
    Entry,
    State,
    digest_of,
    entries_in,
    found_in,
    head_of,
    parts_of,
    place_of,
    record_name,
)
from safeapply.resources.objects import Document, GroupKind, Namespace, Resource, ResourceId
from safeapply.rollout.history import History
from tests.rollout.memory import JumpingClock, MemoryCluster

ROOT, DEFAULT, SHOP = Namespace("istio-system"), Namespace("default"), Namespace("shop")
SECRET = GroupKind("", "Secret")
OURS = frozenset({"safeapply", "kubectl-client-side-apply"})
ALICE, BOB = "alice", "system:serviceaccount:ci:bob"


def one(name: str, kind: str = "ConfigMap", namespace: Namespace = DEFAULT) -> ResourceId:
    """Return an object."""
    return ResourceId("", kind, namespace, name)


def document(resource: ResourceId, **content: Any) -> Document:
    """Return an object's document."""
    space = {"namespace": str(resource.namespace)} if resource.namespace else {}
    version = f"{resource.group}/v1" if resource.group else "v1"
    return {
        "apiVersion": version,
        "kind": resource.kind,
        "metadata": {"name": resource.name, **space},
        **content,
    }


def found(name: str, value: str | None, namespace: Namespace = DEFAULT) -> Found:
    """Return what was found: a value, or nothing."""
    resource = one(name, namespace=namespace)
    return Found(resource, None if value is None else document(resource, data={"key": value}), value is not None)


def history(cluster: MemoryCluster, user: str = "") -> History:
    """Return the records of a cluster."""
    return History(cluster, JumpingClock(), ROOT, "alice@laptop (pid 42)", user)


def secret(namespace: Namespace = ROOT, user: str = ALICE) -> ResourceId:
    """Return the Secret of a user's records."""
    return ResourceId("", "Secret", namespace, record_name(user))


def data(cluster: MemoryCluster, namespace: Namespace = ROOT) -> Mapping[str, bytes]:
    """Return what a Secret of records holds."""
    kept: Mapping[str, str] = cluster.objects[secret(namespace)].document["data"]
    return {key: base64.b64decode(value) for key, value in kept.items()}


def overwrite(cluster: MemoryCluster, content: Mapping[str, bytes], namespace: Namespace = ROOT) -> None:
    """Write a Secret of records as whoever may do that."""
    kept = cluster.objects.get(secret(namespace)) or Resource(
        secret(namespace), {**document(secret(namespace)), "type": "safeapply/rollout"}
    )
    encoded_ = {key: base64.b64encode(value).decode() for key, value in content.items()}
    cluster.objects[secret(namespace)] = Resource(kept.id, {**kept.document, "data": encoded_})


def forged(cluster: MemoryCluster, part: bytes, namespace: Namespace = ROOT, digest: str = "") -> None:
    """Write a record as an attacker would who may write the Secrets: well-formed but for what is in it."""
    entry = Entry(1, State.SETTLED, "alice@laptop", "now", ((namespace, digest or digest_of(part)),))
    overwrite(cluster, {HEAD: head_of(ALICE, (entry,))})
    overwrite(cluster, {**(data(cluster) if namespace == ROOT else {}), f"{ROOT}.1": part}, namespace)


def folded(objects: list[Any], version: str = "2") -> bytes:
    """Return findings as anybody can write them."""
    return gzip.compress(json.dumps({"formatVersion": version, "objects": objects}).encode())


def told(resource: ResourceId, content: Document | None, *, there: bool = True) -> dict[str, Any]:
    """Return one finding as anybody can write it."""
    identity = [resource.group, resource.kind, str(resource.namespace), resource.name]
    return {"id": identity, "there": there, "document": content}


class TestARecordOfOnesOwn:
    """What a run keeps, and who can read it."""

    async def test_a_run_that_goes_on_keeps_what_the_killed_one_found(self) -> None:
        """What the first run wrote is no finding of the second."""
        cluster = MemoryCluster()
        await history(cluster).begin((found("a", "before"), found("b", None)))
        await history(cluster).begin((found("a", "between"), found("c", "before")))
        latest = await history(cluster).latest()
        assert latest.found == (found("a", "before"), found("b", None), found("c", "before"))
        assert len(await history(cluster).entries()) == 1

    async def test_a_run_that_adds_nothing_writes_no_new_record(self) -> None:
        """However often it is killed."""
        cluster = MemoryCluster()
        for value in ("before", "between", "nearly"):
            await history(cluster).begin((found("a", value),))
        assert len([write for write in cluster.writes if "safeapply" in write]) == 4

    async def test_a_settled_rollout_is_followed_by_findings_of_its_own_and_gone_back_to_in_turn(self) -> None:
        """The newest first; when nothing is left, that is said."""
        records = history(MemoryCluster())
        for value in ("first", "second"):
            await records.mark(await records.begin((found("a", value),)), State.SETTLED)
        for value in ("second", "first"):
            latest = await records.latest()
            assert latest.found == (found("a", value),)
            await records.mark(latest, State.ROLLED_BACK)
        with pytest.raises(UsageError, match="no rollout to go back from: none of alice is recorded"):
            await records.latest()

    async def test_ten_records_are_kept(self) -> None:
        """As many as a Deployment keeps; what the others found is gone from every namespace."""
        cluster = MemoryCluster()
        records = history(cluster)
        for number in range(13):
            space = DEFAULT if number < 2 else SHOP
            await records.mark(await records.begin((found("a", str(number), space),)), State.SETTLED)
        assert [entry.revision for entry in await records.entries()] == list(range(13, 3, -1))
        assert data(cluster, DEFAULT) == {}
        assert set(data(cluster, SHOP)) == {f"{ROOT}.{number}" for number in range(4, 14)}

    async def test_values_stay_in_the_namespace_of_their_object(self) -> None:
        """The Secret beside the Lease has those of objects that stand nowhere, and names."""
        cluster = MemoryCluster()
        role = ResourceId("rbac.authorization.k8s.io", "ClusterRole", Namespace(""), "reader")
        await history(cluster).begin(
            (
                found("a", "of default"),
                found("b", "of shop", SHOP),
                found("c", None, SHOP),
                Found(role, document(role, x="of none"), there=True),
            )
        )
        texts = {
            space: b"".join(gzip.decompress(v) for k, v in data(cluster, space).items() if k != HEAD)
            for space in (ROOT, DEFAULT, SHOP)
        }
        held = {
            space: [w for w in (b"of default", b"of shop", b"of none") if w in text]
            for space, text in texts.items()
        }
        assert held == {ROOT: [b"of none"], DEFAULT: [b"of default"], SHOP: [b"of shop"]}
        assert {one.id.kind for one in cluster.objects.values()} == {"Secret"}

    async def test_the_state_stands_in_a_label_too(self) -> None:
        """For whoever lists Secrets."""
        cluster = MemoryCluster()
        records = history(cluster)
        record = await records.begin((found("a", "before"),))
        labels = [cluster.objects[secret()].labels["safeapply/state"]]
        for state in (State.SETTLED, State.ROLLED_BACK):
            await records.mark(record, state)
            labels.append(cluster.objects[secret()].labels["safeapply/state"])
        assert labels == ["under-way", "settled", "rolled-back"]

    async def test_a_rollout_without_values_writes_one_secret(self) -> None:
        """It makes a namespace and what is in it, and before it there is nowhere to write to."""
        cluster = MemoryCluster()
        await history(cluster).begin((found("a", None), found("b", None, SHOP)))
        assert set(cluster.objects) == {secret()}

    async def test_two_meshes_of_one_cluster_count_their_rollouts_apart(self) -> None:
        """Each has its Lease elsewhere; the parts in one namespace do not get into each other's way."""
        cluster, canary = MemoryCluster(), Namespace("istio-canary")
        meshes = [History(cluster, JumpingClock(), space, "alice") for space in (ROOT, canary)]
        for number, mesh in enumerate((*meshes, *meshes)):
            await mesh.mark(await mesh.begin((found("a", f"found {number}"),)), State.SETTLED)
        assert [(await mesh.latest()).found for mesh in meshes] == [
            (found("a", "found 2"),),
            (found("a", "found 3"),),
        ]

    async def test_where_all_do_not_fit_the_oldest_go(self) -> None:
        """The Secret holds less than the API server takes."""
        cluster = MemoryCluster()
        records = history(cluster)
        for number in range(4):
            await records.mark(await records.begin((found("a", noise(number, 350_000)),)), State.SETTLED)
        assert [entry.revision for entry in await records.entries()] == [4, 3]
        assert (await records.latest()).found == (found("a", noise(3, 350_000)),)

    @pytest.mark.parametrize(
        "value", [lambda: noise(0, 1_000_000), lambda: "a" * UNFOLDED], ids=["folded", "unfolded"]
    )
    async def test_what_fits_into_no_record_is_refused_before_anything_is_written(
        self, value: Callable[[], str]
    ) -> None:
        """With the two ways to go on."""
        cluster = MemoryCluster()
        with pytest.raises(UsageError, match=r"does not fit into one record .* in parts, or give --no-record"):
            await history(cluster).begin((found("a", value()),))
        assert cluster.writes == []

    async def test_a_crash_between_the_parts_and_the_head_leaves_the_record_before(self) -> None:
        """The head is written last, and what it names stays as long as it is named."""
        cluster = MemoryCluster()
        await history(cluster).begin((found("a", "before"),))
        count = len(cluster.writes)

        def crash() -> None:
            if len(cluster.writes) > count:
                raise KeyboardInterrupt

        cluster.at_write = crash
        with pytest.raises(KeyboardInterrupt):
            await history(cluster).begin((found("b", "before"),))
        cluster.at_write = lambda: None
        assert (await history(cluster).latest()).found == (found("a", "before"),)
        await history(cluster).begin((found("b", "before"),))
        assert (await history(cluster).latest()).found == (found("a", "before"), found("b", "before"))

    async def test_a_run_that_was_killed_after_its_last_write_is_noted_as_settled(self) -> None:
        """Nothing is left to do for it."""
        cluster = MemoryCluster()
        await history(cluster).begin((found("a", "before"),))
        await history(cluster).conclude((one("a"),), (one("a"),))
        assert [entry.state for entry in await history(cluster).entries()] == [State.SETTLED]


def noise(seed: int, size: int) -> str:
    """Return text that compression does not make smaller than half."""
    return random.Random(seed).randbytes(size).hex()


class TestARecordOfSomebodyElse:
    """It is not taken for one's own, and found where one may look."""

    async def test_nobody_goes_back_from_a_rollout_of_somebody_else_by_default(self) -> None:
        """It is named, with how to say that it is meant."""
        cluster = MemoryCluster()
        cluster.user = BOB
        await history(cluster).begin((found("a", "before"),))
        cluster.user = ALICE
        with pytest.raises(
            UsageError, match=rf"(?s)none of alice .* --by {BOB}: rollout 1, under-way, of alice@laptop"
        ) as error:
            await history(cluster).latest()
        assert "ControllerRevision" not in str(error.value)
        assert (await history(cluster, BOB).latest()).found == (found("a", "before"),)

    async def test_a_run_adds_nothing_to_a_stopped_run_of_somebody_else(self) -> None:
        """Each goes back by what itself has found."""
        cluster = MemoryCluster()
        cluster.user = BOB
        await history(cluster).begin((found("a", "before"),))
        cluster.user = ALICE
        await history(cluster).begin((found("b", "before"),))
        assert (await history(cluster).latest()).found == (found("b", "before"),)

    async def test_who_may_not_list_secrets_is_told_that_others_cannot_be_named(self) -> None:
        """That is no reason to fail otherwise."""

        class Narrow(MemoryCluster):
            async def select(self, *_: Any) -> Any:
                raise ForbiddenError((Missing("list", "secrets", "istio-system", "", ""),))

        with pytest.raises(UsageError, match="takes the right to list secrets in istio-system"):
            await history(Narrow()).latest()

    async def test_a_secret_that_only_says_it_is_a_users_is_not_named(self) -> None:
        """The name is made of the user; an annotation is anybody's."""
        cluster = MemoryCluster()
        await history(cluster).begin((found("a", "before"),))
        kept = cluster.objects[secret()]
        liar = replace(kept.id, name="safeapply-liar")
        metadata = {**kept.metadata, "name": liar.name, "annotations": {"safeapply/user": "carol"}}
        cluster.objects = {liar: Resource(liar, {**kept.document, "metadata": metadata})}
        with pytest.raises(UsageError) as error:
            await history(cluster).latest()
        assert "carol" not in str(error.value)

    async def test_controller_revisions_of_before_are_spoken_of_and_not_read(self) -> None:
        """Whoever may create them can forge one."""
        cluster = MemoryCluster()
        old = ResourceId("apps", "ControllerRevision", ROOT, "safeapply-1")
        metadata = {
            "labels": {"app.kubernetes.io/managed-by": "safeapply"},
            "annotations": {"safeapply/state": "settled"},
        }
        cluster.objects[old] = Resource(old, {"metadata": metadata, "revision": 1, "data": {"found": "anything"}})
        with pytest.raises(
            UsageError, match="they are not read: kubectl delete controllerrevisions -n istio-system"
        ):
            await history(cluster).latest()


BINDING = ResourceId("rbac.authorization.k8s.io", "ClusterRoleBinding", Namespace(""), "evil")


class TestAForgedRecord:
    """Whoever can write the Secret, or a part of it: one sentence, and nothing is written."""

    async def refused(self, cluster: MemoryCluster, words: str) -> None:
        """Try to go back, and to begin."""
        before = dict(cluster.objects)
        with pytest.raises(ClusterError, match=words) as error:
            await history(cluster).latest()
        assert f"kubectl delete secret -n istio-system {record_name(ALICE)}" in str(error.value)
        assert (cluster.objects, cluster.writes) == (before, [])

    async def test_a_controller_revision_leads_nowhere(self) -> None:
        """As it stood in the issue: a ClusterRoleBinding in what the next way back would write."""
        cluster = MemoryCluster()
        forgery = ResourceId("apps", "ControllerRevision", ROOT, "safeapply-1")
        annotations = {"safeapply/state": "under-way", "safeapply/by": "alice@laptop"}
        metadata = {"labels": {"app.kubernetes.io/managed-by": "safeapply"}, "annotations": annotations}
        text = base64.b64encode(folded([told(BINDING, document(BINDING))], "1")).decode()
        cluster.objects[forgery] = Resource(forgery, {"metadata": metadata, "revision": 9, "data": {"found": text}})
        record = await history(cluster).begin((found("a", "before"),))
        assert record.found == (found("a", "before"),)
        assert (await history(cluster).latest()).found == (found("a", "before"),)

    @pytest.mark.parametrize(
        ("objects", "words"),
        [
            (
                [told(one("a", namespace=SHOP), document(one("a", namespace=SHOP)))],
                "configmap/shop/a, which is not",
            ),
            ([told(BINDING, document(BINDING))], "evil, which is not of its namespace"),
            ([told(one("a"), document(BINDING))], "what it says of configmap/default/a is not of that object"),
            ([told(one("a"), document(one("b")))], "is not of that object"),
            ([told(one("a"), {**document(one("a")), "apiVersion": "v1/../../x"})], "is not of that object"),
            ([told(one("a"), document(one("a")), there=False)], "is not of that object"),
            ([told(one("a", "Secret"), document(one("a", "Secret")))], "is not of that object"),
            ([told(one("a"), document(one("a")))] * 2, "names an object twice"),
            ([told(one("a", "../../x"), document(one("a", "../../x")))], "no object can be called so"),
            ([told(one("."), None)], "no object can be called so"),
            (
                [told(one("ca", namespace=Namespace("istio-system/secrets/ca?")), None)],
                "no object can be called so",
            ),
            ([{"id": ["", "ConfigMap", "default"], "there": True, "document": None}], "safeapply did not write it"),
            ([told(one("a"), None) | {"more": 1}], "safeapply did not write it"),
            (["no object"], "safeapply did not write it"),
        ],
    )
    async def test_a_part_speaks_of_the_objects_of_its_namespace_alone(
        self, objects: list[Any], words: str
    ) -> None:
        """Whoever writes Secrets in one namespace writes nothing in another by it, not even with its digest."""
        cluster = MemoryCluster()
        forged(cluster, folded(objects), DEFAULT)
        await self.refused(cluster, words)

    @pytest.mark.parametrize(
        ("part", "words"),
        [
            (b"no gzip", "not compressed as safeapply does it"),
            (gzip.compress(b"{")[:-4], "cut off"),
            (gzip.compress(b"{}") + b"more", "something follows"),
            (gzip.compress(b"{}"), "safeapply did not write it"),
            (gzip.compress(b"[" * 100_000), "safeapply did not write it"),
            (gzip.compress(b"\xff\xfe"), "safeapply did not write it"),
            (folded([], "3"), "in format '3', and this safeapply reads 2"),
        ],
    )
    async def test_what_is_no_record_is_refused(self, part: bytes, words: str) -> None:
        """Bad gzip, bad JSON, another format."""
        cluster = MemoryCluster()
        forged(cluster, part)
        await self.refused(cluster, words)

    async def test_a_part_that_was_changed_is_refused(self) -> None:
        """The head has its digest."""
        cluster = MemoryCluster()
        await history(cluster).begin((found("a", "before"),))
        cluster.writes.clear()
        part = encoded((found("a", "evil"),))
        overwrite(cluster, {f"{ROOT}.1": part}, DEFAULT)
        await self.refused(cluster, "what it holds is not what the rollout wrote")

    async def test_a_part_that_is_gone_is_refused(self) -> None:
        """With its namespace, perhaps."""
        cluster = MemoryCluster()
        await history(cluster).begin((found("a", "before"),))
        cluster.writes.clear()
        del cluster.objects[secret(DEFAULT)]
        await self.refused(cluster, "what the rollout found is not there any more")

    async def test_a_run_that_was_stopped_in_a_namespace_that_is_gone_stops_no_other(self) -> None:
        """As of a preview that was deleted; while its namespace is there, the part has to be there, too."""
        cluster = MemoryCluster()
        space = ResourceId("", "Namespace", Namespace(""), SHOP)
        cluster.objects[space] = Resource(space, {"metadata": {"name": SHOP}})
        await history(cluster).begin((found("a", "before", SHOP),))
        del cluster.objects[secret(SHOP)]
        with pytest.raises(ClusterError, match="what the rollout found is not there any more"):
            await history(cluster).begin((found("b", "before"),))
        del cluster.objects[space]
        assert (await history(cluster).begin((found("b", "before"),))).found == (found("b", "before"),)

    async def test_a_bomb_takes_no_more_memory_than_a_record(self) -> None:
        """A gigabyte of spaces in one megabyte."""
        cluster = MemoryCluster()
        bomb = gzip.compress(b" " * 2**28)
        forged(cluster, bomb, digest=digest_of(bomb))
        tracemalloc.start()
        try:
            await self.refused(cluster, f"larger than {UNFOLDED} bytes when it is decompressed")
            assert tracemalloc.get_traced_memory()[1] < 5 * UNFOLDED
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize(
        ("head", "words"),
        [
            (b"[" * 100_000, "safeapply did not write its head"),
            (head_of(BOB, ()), "another user's"),
            (head_of(ALICE, ()).replace(b'"1"', b'"9"'), "head is in format '9'"),
            (
                head_of(ALICE, [Entry(1, State.SETTLED, "", "", ((Namespace("../x"), ""),))]),
                "did not write its head",
            ),
            (
                head_of(ALICE, [Entry(1, State.SETTLED, "", "", ()), Entry(2, State.SETTLED, "", "", ())]),
                "out of order",
            ),
            (head_of(ALICE, [Entry(0, State.SETTLED, "", "", ())]), "did not write its head"),
        ],
    )
    async def test_a_head_that_is_none_is_refused(self, head: bytes, words: str) -> None:
        """Whatever is wrong with it."""
        cluster = MemoryCluster()
        overwrite(cluster, {HEAD: head})
        await self.refused(cluster, words)

    async def test_a_secret_of_another_type_is_refused(self) -> None:
        """It is somebody's, under this name by accident or not."""
        cluster = MemoryCluster()
        cluster.objects[secret()] = Resource(secret(), {**document(secret()), "type": "Opaque", "data": {}})
        await self.refused(cluster, "of type 'Opaque', and not of safeapply/rollout")

    async def test_a_secret_that_is_no_base64_is_refused(self) -> None:
        """As no API server would answer."""
        cluster = MemoryCluster()
        content = {**document(secret()), "type": "safeapply/rollout", "data": {"head": "????"}}
        cluster.objects[secret()] = Resource(secret(), content)
        await self.refused(cluster, "its data is no base64")


NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
SPACES = st.sampled_from([Namespace(""), ROOT, DEFAULT, SHOP])
KINDS = st.sampled_from(
    [("", "ConfigMap"), ("", "Service"), ("networking.istio.io", "VirtualService"), ("", "Secret")]
)
IDS = st.builds(lambda kind, space, name: ResourceId(kind[0], kind[1], space, name), KINDS, SPACES, NAMES)


@st.composite
def findings(draw: st.DrawFn) -> tuple[Found, ...]:
    """Draw what a rollout finds."""
    listed = []
    for resource in sorted(draw(st.sets(IDS, max_size=8))):
        there = draw(st.booleans())
        values = there and resource.kind != "Secret"
        content = (
            document(resource, spec=draw(st.dictionaries(st.text(), st.text() | st.integers(0, 9))))
            if values
            else None
        )
        listed.append(Found(resource, content, there))
    return tuple(listed)


class TestForAllRecords:
    """Rules that hold for whatever a rollout finds."""

    @given(findings())
    def test_whatever_is_found_is_read_back(self, listed: tuple[Found, ...]) -> None:
        """Any text survives, in parts that hold one namespace each."""
        parts = parts_of(listed, ROOT)
        back = [one for space, part in parts.items() for one in found_in(space, ROOT, part, digest_of(part))]
        assert sorted(back, key=lambda each: each.id) == list(listed)
        assert decoded(encoded(listed)) == listed
        assert all(place_of(each, ROOT) in {ROOT, each.id.namespace} for each in listed)

    @given(st.binary() | st.binary().map(gzip.compress))
    def test_whatever_is_no_record_is_an_error_and_no_traceback(self, part: bytes) -> None:
        """Bad gzip, bad JSON."""
        with pytest.raises(ClusterError):
            decoded(part)
        with pytest.raises(ClusterError):
            entries_in(part, ALICE)

    @given(own=findings(), stopped=findings(), unchanged=st.sets(IDS), again=st.booleans())
    def test_a_way_back_touches_what_the_plans_touched_and_nothing_else(
        self, *, own: tuple[Found, ...], stopped: tuple[Found, ...], unchanged: set[ResourceId], again: bool
    ) -> None:
        """What it writes or deletes is of this run's plan, or of the plan of the run that it goes on with."""
        earlier = {one.id for one in stopped} if again else set[ResourceId]()
        back = continued(own, (*stopped, *own), earlier, unchanged)
        wanted = way_back(back, ROOT, 0.0)
        written = {one.id for one in wanted.manifests}
        plans = {one.id for one in own} | earlier
        assert written | wanted.named <= plans
        assert written.isdisjoint(wanted.named)
        assert {one.id for one in own} <= {one.id for one in back}
        if earlier.isdisjoint({*unchanged, *(one.id for one in own)}):
            assert back == own

    @given(findings(), st.integers(1, 9))
    def test_a_head_is_read_back(self, listed: tuple[Found, ...], number: int) -> None:
        """With every digest."""
        parts = tuple((space, digest_of(part)) for space, part in parts_of(listed, ROOT).items())
        entries = (Entry(number, State.SETTLED, "me", "now", parts),)
        assert entries_in(head_of(BOB, entries), BOB) == entries

    @given(st.text(), st.text())
    def test_no_two_users_have_the_same_secret(self, first: str, second: str) -> None:
        """And its name is one that Kubernetes takes."""
        assert (record_name(first) == record_name(second)) is (first == second)
        assert record_name(first).removeprefix("safeapply-").isalnum()


def finding(live: Document, manifest: Document | None, kind: str = "Deployment") -> Found:
    """Return what is found of one object that is applied, or deleted."""
    before = Resource(one("web", kind), live)
    wanted = Resource(before.id, manifest if manifest is not None else live)
    action = Action.DELETE if manifest is None else Action.APPLY
    plan = Plan(steps=(Step(Phase.WIDEN, (Operation(action, wanted),), (), 0.0, "because"),))
    return found_by(plan, {before.id: before}, OURS)[0]


LIVE = {
    "metadata": {
        "name": "web",
        "uid": "1",
        "resourceVersion": "7",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "managedFields": [
            {"manager": "kubectl-client-side-apply", "fieldsV1": {"f:spec": {"f:paused": {}}}},
            {"manager": "autoscaler", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        ],
    },
    "spec": {"replicas": 7, "paused": True},
    "status": {"replicas": 7},
}


def test_what_others_own_and_the_files_do_not_speak_of_is_not_put_back() -> None:
    """The autoscaler goes on deciding how many replicas there are."""
    kept = finding(LIVE, {"spec": {"paused": False}})
    assert kept.document == {"metadata": {"name": "web"}, "spec": {"paused": True}}


def test_what_the_files_speak_of_is_put_back_whoever_owns_it() -> None:
    """The rollout took it over, so the way back gives it back."""
    document = finding(LIVE, {"spec": {"replicas": 3}}).document
    assert document is not None
    assert document["spec"]["replicas"] == 7


def test_what_is_deleted_is_kept_whole() -> None:
    """All of it goes, so all of it has to come back."""
    document = finding(LIVE, None).document
    assert document is not None
    assert document["spec"] == {"replicas": 7, "paused": True}


def test_the_values_of_a_secret_are_never_kept() -> None:
    """Not even in base64: it cannot be put back, and the record says that it was there."""
    kept = finding({"metadata": {"name": "web"}, "data": {"password": "aHVudGVyMg=="}}, {}, "Secret")
    assert (kept.document, kept.there, kept.lost) == (None, True, True)
