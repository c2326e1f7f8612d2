"""Whatever is sent, the answer is a Status with the right code, and the next request is answered too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.apiserver.cluster import APPLY, CONFIGMAPS, MERGE, RULES, Cluster, config, rule

JSON = "application/json"
YAML = "application/yaml"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
ONE = f"{CONFIGMAPS}/settings"
RULE = f"{RULES}/reviews"
APPLIED = f"{RULE}?fieldManager=me"
LIMIT = 3 * 1024 * 1024
DEEP = b'{"metadata":' + b'{"a":' * 900 + b"1" + b"}" * 901


@pytest.mark.parametrize(
    ("method", "path", "body", "form", "code"),
    [
        pytest.param("POST", CONFIGMAPS, b"", JSON, 400, id="nothing"),
        pytest.param("POST", CONFIGMAPS, b"{", JSON, 400, id="half of a document"),
        pytest.param("POST", CONFIGMAPS, b"\xff\xfe", JSON, 400, id="no text"),
        pytest.param("POST", CONFIGMAPS, b"[]", JSON, 400, id="a list"),
        pytest.param("POST", CONFIGMAPS, DEEP, JSON, 400, id="nested too deeply"),
        pytest.param("POST", CONFIGMAPS, b"[" * 100_000, JSON, 400, id="nested without end"),
        pytest.param("POST", CONFIGMAPS, b"a: *b", YAML, 400, id="YAML with a loose end"),
        pytest.param("POST", CONFIGMAPS, b"x" * (LIMIT + 1), JSON, 413, id="too much"),
        pytest.param("POST", CONFIGMAPS, config(), "application/vnd.kubernetes.protobuf", 415, id="protobuf"),
        pytest.param(
            "POST", CONFIGMAPS, {"kind": "Secret", "metadata": {"name": "a"}}, JSON, 400, id="another kind"
        ),
        pytest.param("POST", RULES, rule(version="v1beta1"), JSON, 400, id="another version"),
        pytest.param("POST", CONFIGMAPS, config(namespace="x"), JSON, 400, id="another namespace"),
        pytest.param("POST", CONFIGMAPS, {"metadata": []}, JSON, 400, id="metadata that are none"),
        pytest.param("POST", CONFIGMAPS, {"metadata": {"name": 5}}, JSON, 400, id="a name that is none"),
        pytest.param("POST", CONFIGMAPS, config("a", labels={"a": 1}), JSON, 400, id="labels that are none"),
        pytest.param("POST", CONFIGMAPS, config("a", resourceVersion="1"), JSON, 500, id="born with a version"),
        pytest.param("POST", CONFIGMAPS, {"metadata": {}}, JSON, 422, id="no name"),
        pytest.param("POST", CONFIGMAPS, config("A_b"), JSON, 422, id="a name that none may have"),
        pytest.param("POST", RULES, rule("x") | {"spec": []}, JSON, 422, id="a spec that is none"),
        pytest.param("POST", RULES, rule("x", host=""), JSON, 400, id="what Istio's webhook refuses"),
        pytest.param("POST", f"{CONFIGMAPS}?dryRun=Some", config("a"), JSON, 422, id="a dry run of no kind"),
        pytest.param("POST", "/api/v1/configmaps", config("a"), JSON, 405, id="nowhere in particular"),
        pytest.param("POST", ONE, config(), JSON, 405, id="creation below an object"),
        pytest.param("PUT", ONE, config("other"), JSON, 400, id="another name"),
        pytest.param("PUT", f"{CONFIGMAPS}/none", config("none"), JSON, 404, id="update of nothing"),
        pytest.param("PATCH", ONE, {"metadata": {"name": "other"}}, MERGE, 400, id="a patch of the name"),
        pytest.param("PATCH", ONE, {"metadata": None}, MERGE, 422, id="a patch that takes all away"),
        pytest.param("PATCH", ONE, 5, MERGE, 400, id="a patch that is none"),
        pytest.param("PATCH", ONE, [{"op": "remove", "path": "/data/x"}], JSON_PATCH, 422, id="a path to nothing"),
        pytest.param(
            "PATCH", ONE, [{"op": "add", "path": 5, "value": 1}], JSON_PATCH, 422, id="a path that is none"
        ),
        pytest.param("PATCH", ONE, {"$patch": "foo"}, STRATEGIC, 500, id="an unknown directive"),
        pytest.param("PATCH", RULE, {}, STRATEGIC, 415, id="strategic merge of a custom kind"),
        pytest.param("PATCH", RULE, rule(), APPLY, 422, id="an apply by nobody"),
        pytest.param("PATCH", APPLIED, b"a: b: c", APPLY, 400, id="an apply of no YAML"),
        pytest.param("PATCH", APPLIED, {"metadata": {}}, APPLY, 400, id="an apply of no kind"),
        pytest.param("PATCH", APPLIED, rule("other"), APPLY, 400, id="an apply of another name"),
        pytest.param("DELETE", ONE, {"preconditions": 5}, JSON, 400, id="preconditions that are none"),
        pytest.param("DELETE", "/api/v1/configmaps", None, JSON, 405, id="deletion of everything"),
        pytest.param("GET", f"{CONFIGMAPS}?labelSelector=a%20b", None, JSON, 400, id="a selector that is none"),
        pytest.param("GET", f"{CONFIGMAPS}?continue=x", None, JSON, 400, id="a token that is none"),
        pytest.param("GET", f"{CONFIGMAPS}?limit={'9' * 5000}", None, JSON, 400, id="a limit beyond all figures"),
        pytest.param(
            "GET", f"{CONFIGMAPS}?watch=1&resourceVersion=x", None, JSON, 500, id="a version that is none"
        ),
        pytest.param("GET", "/api/v1/namespaces/default/nonsense", None, JSON, 404, id="an unknown resource"),
        pytest.param("GET", "/apis/nonsense.example.com/v1", None, JSON, 404, id="an unknown group"),
        pytest.param("GET", "/api/v1/pods/web", None, JSON, 404, id="a pod in no namespace"),
        pytest.param("GET", "/api/v1/namespaces/default/pods/web/log", None, JSON, 404, id="logs"),
        pytest.param("GET", "/api/v1/namespaces/default/pods/web/portforward", None, JSON, 400, id="no websocket"),
    ],
)
def test_bad_requests_are_answered(
    cluster: Cluster, method: str, path: str, body: Any, form: str, code: int
) -> None:
    """Nothing is written, and what there was is still served."""
    cluster.ask("POST", CONFIGMAPS, config())
    cluster.ask("POST", RULES, rule())
    before = cluster.store.resource_version
    answer = cluster.ask(method, path, body, Content_Type=form)
    assert answer.code == code
    assert answer.body["message"]
    assert cluster.store.resource_version == before
    assert cluster.ask("GET", ONE).code == 200


def test_a_fault_of_the_server_itself_is_a_status_too(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    """What nobody foresaw is 500 to the client, and a traceback in the log."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    cluster.server.deny = fail
    answer = cluster.ask("GET", ONE)
    assert answer.status == (500, "InternalError")
    assert "a bug" in answer.body["message"]
    assert "ZeroDivisionError" in caplog.text
