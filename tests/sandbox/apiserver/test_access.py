"""RBAC as the real server enforces it, asked by kubectl and by plain requests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as official
from kubernetes import config as official_config

from safeapply.sandbox.apiserver import ADMIN, Access, User, service_account
from tests.sandbox.apiserver.cluster import CONFIGMAPS, RULES, Answer, Cluster, config, rule

RBAC = "rbac.authorization.k8s.io"
DEV, ROBOT = User("dev"), service_account("default", "robot")


def role(*rules: dict[str, Any], kind: str = "Role") -> dict[str, Any]:
    """Return a role named ``dev`` with rules."""
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": {"name": "dev"}, "rules": list(rules)}


def binding(subject: dict[str, str], kind: str = "Role") -> dict[str, Any]:
    """Return what binds the role to somebody: a Role in its namespace, a ClusterRole everywhere."""
    bound = "RoleBinding" if kind == "Role" else "ClusterRoleBinding"
    head = {"apiVersion": f"{RBAC}/v1", "kind": bound, "metadata": {"name": "dev"}}
    return {**head, "roleRef": {"apiGroup": RBAC, "kind": kind, "name": "dev"}, "subjects": [subject]}


def rights(verbs: list[str], resources: list[str], group: str = "", **more: Any) -> dict[str, Any]:
    """Return one rule."""
    return {"apiGroups": [group], "resources": resources, "verbs": verbs, **more}


@pytest.fixture
def guarded(cluster: Cluster) -> Cluster:
    """Hand over a server with users: an admin, a developer without any rights, and a robot."""
    tokens = {"root": ADMIN, "dev": DEV, "robot": ROBOT}
    cluster.do(lambda: setattr(cluster.server, "access", Access(cluster.store, tokens)))
    return cluster


def asked(cluster: Cluster, method: str, path: str, body: object = None, *, by: str = "dev", **more: str) -> Answer:
    """Ask as somebody."""
    return cluster.ask(method, path, body, Authorization=f"Bearer {by}", **more)


def granted(cluster: Cluster, *rules: dict[str, Any], kind: str = "Role") -> None:
    """Give the developer rights."""
    subject = {"kind": "User", "name": "dev"}
    for document in (role(*rules, kind=kind), binding(subject, kind)):
        cluster.do(lambda document=document: cluster.store.create(document))  # type: ignore[misc]


def test_what_no_rule_allows_is_forbidden_in_the_servers_words(guarded: Cluster) -> None:
    """The words name user, verb, resource, group and namespace; an administrator may everything."""
    answer = asked(guarded, "GET", CONFIGMAPS)
    assert answer.status == (403, "Forbidden")
    assert answer.body["message"] == (
        'configmaps is forbidden: User "dev" cannot list resource "configmaps" in API group "" in the namespace '
        '"default"'
    )
    everywhere = asked(guarded, "GET", "/apis/networking.istio.io/v1/destinationrules").body
    assert everywhere["message"] == (
        'destinationrules.networking.istio.io is forbidden: User "dev" cannot list resource "destinationrules" in '
        'API group "networking.istio.io" at the cluster scope'
    )
    assert everywhere["details"] == {"group": "networking.istio.io", "kind": "destinationrules"}
    assert asked(guarded, "GET", CONFIGMAPS, by="root").code == 200


def test_nobody_and_strangers_are_told_apart(guarded: Cluster) -> None:
    """No token is the anonymous user, 403; an unknown one is 401. Discovery is for everybody who is somebody."""
    assert (
        guarded.ask("GET", CONFIGMAPS)
        .body["message"]
        .startswith('configmaps is forbidden: User "system:anonymous" cannot list')
    )
    assert asked(guarded, "GET", CONFIGMAPS, by="stolen").status == (401, "Unauthorized")
    assert asked(guarded, "GET", "/apis/networking.istio.io").code == 200
    assert (
        guarded.ask("GET", "/apis").body["message"] == 'forbidden: User "system:anonymous" cannot get path "/apis"'
    )


def test_a_role_counts_in_its_namespace_and_a_cluster_role_everywhere(guarded: Cluster) -> None:
    """Rights add up; a verb that is not listed stays forbidden."""
    granted(guarded, rights(["get", "list"], ["configmaps"]))
    granted(guarded, rights(["list"], ["destinationrules"], "networking.istio.io"), kind="ClusterRole")
    assert asked(guarded, "GET", CONFIGMAPS).code == 200
    assert asked(guarded, "GET", "/api/v1/configmaps").status == (403, "Forbidden")
    assert asked(guarded, "GET", "/apis/networking.istio.io/v1/destinationrules").code == 200
    assert asked(guarded, "GET", RULES).code == 200
    assert asked(guarded, "POST", CONFIGMAPS, config()).status == (403, "Forbidden")
    assert asked(guarded, "GET", f"{CONFIGMAPS}?watch=1").status == (403, "Forbidden")


def test_a_rule_may_name_objects_which_no_create_ever_meets(guarded: Cluster) -> None:
    """Before it exists an object has no name that RBAC could know."""
    granted(guarded, rights(["get", "create"], ["configmaps"], resourceNames=["settings"]))
    asked(guarded, "POST", CONFIGMAPS, config(), by="root")
    assert asked(guarded, "GET", f"{CONFIGMAPS}/settings").code == 200
    assert asked(guarded, "GET", f"{CONFIGMAPS}/other").status == (403, "Forbidden")
    assert asked(guarded, "POST", CONFIGMAPS, config("other")).status == (403, "Forbidden")


def test_an_apply_that_creates_takes_both_rights(guarded: Cluster) -> None:
    """Patch alone changes what is there; for what is not, the server asks for create as well."""
    granted(guarded, rights(["patch"], ["destinationrules"], "networking.istio.io"))
    path, query = f"{RULES}/reviews", "?fieldManager=me"
    form = {"Content_Type": "application/apply-patch+yaml"}
    refused = asked(guarded, "PATCH", path + query, rule(), **form)
    assert refused.status == (403, "Forbidden")
    assert "cannot create resource" in refused.body["message"]
    asked(guarded, "POST", RULES, rule(), by="root")
    assert asked(guarded, "PATCH", path + query, rule("reviews", "v1"), **form).code == 200


def test_a_port_forward_takes_get_and_create(guarded: Cluster) -> None:
    """A websocket is a GET, and since Kubernetes 1.35 it has to be allowed to create as well."""
    path = "/api/v1/namespaces/default/pods/a/portforward?ports=15000"
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Protocol": "v4.channel.k8s.io"}
    assert 'cannot get resource "pods/portforward"' in asked(guarded, "GET", path, **headers).body["message"]
    granted(guarded, rights(["get"], ["pods/portforward"]))
    assert 'cannot create resource "pods/portforward"' in asked(guarded, "GET", path, **headers).body["message"]


def test_an_account_and_a_group_can_be_bound(guarded: Cluster) -> None:
    """A ServiceAccount by its namespace and name, and everybody by what they have in common."""
    for document in (
        role(rights(["list"], ["configmaps"])),
        binding({"kind": "ServiceAccount", "name": "robot", "namespace": "default"}),
    ):
        guarded.do(lambda document=document: guarded.store.create(document))  # type: ignore[misc]
    assert asked(guarded, "GET", CONFIGMAPS, by="robot").code == 200
    assert asked(guarded, "GET", CONFIGMAPS).code == 403
    everybody = {"kind": "Group", "name": "system:authenticated"}
    guarded.do(lambda: guarded.store.create({**binding(everybody), "metadata": {"name": "all"}}))
    assert asked(guarded, "GET", CONFIGMAPS).code == 200


def test_impersonation_is_a_right_of_its_own(guarded: Cluster) -> None:
    """``kubectl --as``: whoever may has the other's rights, and no more."""
    granted(guarded, rights(["list"], ["configmaps"]))
    assert asked(guarded, "GET", CONFIGMAPS, by="root", Impersonate_User="dev").code == 200
    assert asked(guarded, "GET", RULES, by="root", Impersonate_User="dev").code == 403
    refused = asked(guarded, "GET", CONFIGMAPS, by="robot", Impersonate_User="dev")
    assert refused.body["message"] == (
        'users "dev" is forbidden: User "system:serviceaccount:default:robot" cannot impersonate resource "users" '
        'in API group "" at the cluster scope'
    )


def test_a_user_may_ask_who_it_is(guarded: Cluster) -> None:
    """The server says it, whatever the client claims; whoever acts as another is that one, and nobody is none."""
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "SelfSubjectReview",
        "status": {"userInfo": {"username": "kubernetes-admin"}},
    }
    robot = "system:serviceaccount:default:robot"
    asked_as = [("dev", {}), ("robot", {}), ("root", {"Impersonate-User": "dev"})]
    answers = [asked(guarded, "POST", path, review, by=by, **more) for by, more in asked_as]
    names = [answer.body["status"]["userInfo"]["username"] for answer in answers]
    assert ([answer.code for answer in answers], names) == ([201] * 3, ["dev", robot, "dev"])
    assert guarded.ask("POST", path, review).code == 403


def test_a_user_may_ask_what_it_may(guarded: Cluster, tmp_path: Path) -> None:
    """A review of its own rights, by the official client; nobody needs a right for it."""
    granted(guarded, rights(["list"], ["configmaps"]))
    path = tmp_path / "dev"
    path.write_text(guarded.server.kubeconfig(token="dev"))
    with official_config.new_client_from_config(str(path)) as client:
        reviews = official.AuthorizationV1Api(client)

        def may(verb: str, resource: str, subresource: str = "") -> bool:
            attributes = {"verb": verb, "resource": resource, "subresource": subresource, "namespace": "default"}
            body = {"spec": {"resourceAttributes": attributes}}
            return bool(reviews.create_self_subject_access_review(body).status.allowed)

        assert may("list", "configmaps")
        assert not may("delete", "configmaps")
        assert not may("get", "pods", "portforward")


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_says_what_it_may_not(guarded: Cluster) -> None:
    """The server's sentence reaches the user unchanged."""
    access = Access(guarded.store, nobody=DEV)
    guarded.do(lambda: setattr(guarded.server, "access", access))
    common = ("kubectl", "--kubeconfig", str(guarded.kubeconfig), "--cache-dir", str(guarded.directory / "cache"))
    done = subprocess.run((*common, "get", "secrets"), capture_output=True, text=True, timeout=20, check=False)
    assert done.stderr.strip() == (
        'Error from server (Forbidden): secrets is forbidden: User "dev" cannot list resource "secrets" in API '
        'group "" in the namespace "default"'
    )
