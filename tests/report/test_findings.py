"""Findings as text, JSON, SARIF and JUnit."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from pydantic_sarif.model import (  # type: ignore[import-untyped]
    StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif,
)

from safeapply.checks.check import Checked
from safeapply.checks.findings import Finding, Severity
from safeapply.report.findings import assumptions, findings_json, findings_text
from safeapply.report.junit import findings_junit
from safeapply.report.sarif import findings_sarif
from safeapply.resources.objects import FieldPath, Namespace, ResourceId


def one(kind: str, name: str = "reviews") -> ResourceId:
    """Return the id of an object in namespace default."""
    return ResourceId("networking.istio.io", kind, Namespace("default"), name)


FINDINGS = (
    Finding(
        code="IST0101",
        severity=Severity.ERROR,
        object=one("VirtualService"),
        field=FieldPath("spec.http[0].route[0].destination.subset"),
        effect="Requests to reviews:9080 answer 503 NC: nobody defines <v2>.",
        remedy="Define it.",
        about="v2",
        proxies="sidecars in default",
        file="./a folder/routes.yaml",
        line=12,
    ),
    Finding(
        code="IST0174",
        severity=Severity.WARNING,
        object=one("DestinationRule"),
        field=FieldPath("spec.host"),
        effect="No request meets this rule.",
        remedy="Correct the name.",
        about="host",
    ),
)
CLEAN = one("VirtualService", "ratings")


def test_text_has_place_severity_code_object_and_field_in_its_first_line() -> None:
    """An object of the cluster has no place."""
    assert (
        findings_text(FINDINGS)
        == """\
./a folder/routes.yaml:12: error IST0101 virtualservice default/reviews spec.http[0].route[0].destination.subset
    Requests to reviews:9080 answer 503 NC: nobody defines <v2>.
    on      sidecars in default
    remedy  Define it.

warning IST0174 destinationrule default/reviews spec.host
    No request meets this rule.
    remedy  Correct the name.

1 error, 1 warning.
"""
    )
    assert findings_text(()) == "Nothing found.\n"


def test_json_has_all_of_it() -> None:
    """Names as in the catalogue, null where there is nothing to say, counts of every severity."""
    told = json.loads(findings_json(Checked(FINDINGS, (CLEAN,))))
    assert told["counts"] == {"error": 1, "warning": 1, "info": 0}
    assert told["assumed"] == ["virtualservice.networking.istio.io/default/ratings"]
    assert told["findings"][0]["name"] == "ReferencedResourceNotFound"
    assert (told["findings"][0]["file"], told["findings"][0]["line"]) == ("./a folder/routes.yaml", 12)
    assert told["findings"][1]["file"] is None


def test_sarif_is_as_the_published_schema_wants_it() -> None:
    """The schema's own types read it, unknown fields forbidden; file names are URIs, levels SARIF's."""
    text = findings_sarif(FINDINGS, version="1.2.3")
    Sarif.model_validate_json(text)
    (run,) = json.loads(text)["runs"]
    located = run["results"][0]["locations"][0]["physicalLocation"]
    assert located == {"artifactLocation": {"uri": "a%20folder/routes.yaml"}, "region": {"startLine": 12}}
    assert [result["level"] for result in run["results"]] == ["error", "warning"]
    assert all(run["tool"]["driver"]["rules"][r["ruleIndex"]]["id"] == r["ruleId"] for r in run["results"])
    assert "physicalLocation" not in run["results"][1]["locations"][0]


def test_the_schema_would_notice() -> None:
    """The types that judge the report refuse one with a field too many."""
    broken = json.loads(findings_sarif(FINDINGS, version="1.2.3"))
    broken["runs"][0]["results"][0]["severity"] = "error"
    with pytest.raises(ValueError, match="severity"):
        Sarif.model_validate(broken)


@pytest.mark.parametrize(("failing", "failures"), [({Severity.ERROR}, 1), ({Severity.ERROR, Severity.WARNING}, 2)])
def test_junit_has_a_test_for_each_object_and_fails_by_what_counts(failing: set[Severity], failures: int) -> None:
    """Clean objects pass; a warning fails its test only where warnings count, and else stands in its output."""
    root = ET.fromstring(findings_junit(FINDINGS, [CLEAN], failing))
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures")) == ("3", str(failures))
    assert len(suite.findall("testcase/failure")) == failures
    assert len(suite.findall("testcase/system-out")) == 2 - failures
    assert [case.get("file") for case in suite if case.get("file")] == ["./a folder/routes.yaml"]


def test_what_was_taken_to_exist_is_told_in_one_line() -> None:
    """The first five by name."""
    several = tuple(one("VirtualService", str(number)) for number in range(7))
    assert assumptions(Checked((), several)).endswith(", virtualservice default/4 and 2 more")
    assert assumptions(Checked((), ())) == ""
