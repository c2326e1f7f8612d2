"""A real API server answers what is recorded of one, so that the embedded one is held against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.apiserver.schemas.istio import ISTIO_SCHEMAS
from tests.conformance.differences import differences
from tests.conformance.playing import Server, play
from tests.conformance.recording import Recording, recorded
from tests.conformance.scenario import Scenario, scenarios
from tests.conformance.servers import definitions, real
from tests.real.programs import Programs

SCENARIOS = [scenario for group in scenarios().values() for scenario in group]


@pytest.fixture(scope="module")
def server(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a real API server without controllers."""
    with real(tmp_path_factory.mktemp("real"), programs) as running:
        yield running


@pytest.fixture(scope="module")
def recording() -> Recording:
    """Return what was recorded."""
    return recorded()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.title)
def test_the_recording_is_what_the_real_server_answers(
    scenario: Scenario, server: Server, recording: Recording
) -> None:
    """Nothing differs; if a new version does, ``make record`` writes it down, and the embedded one follows."""
    answers = [answer.as_data for answer in play(scenario, server)]
    assert not [str(one) for one in differences(scenario.title, recording[scenario.title], answers)]


@pytest.mark.parametrize("kind", ISTIO_SCHEMAS, ids=lambda one: one.kind)
def test_our_schemas_are_those_of_the_definitions(kind: GroupKind, programs: Programs) -> None:
    """The fields of Istio's kinds, what they take and which have to be there are those of Istio's definitions."""
    definition = next(one for one in definitions(programs) if _defines(one) == kind)
    stored = next(one for one in definition["spec"]["versions"] if one["storage"])
    theirs = stored["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert _form(ISTIO_SCHEMAS[kind]["properties"]["spec"]) == _form(theirs)


def _defines(definition: Mapping[str, Any]) -> GroupKind:
    return GroupKind(definition["spec"]["group"], definition["spec"]["names"]["kind"])


def _form(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what both sides say of a field; limits of texts and numbers, and rules, the scenarios compare."""
    form = {word: schema[word] for word in ("type",) if word in schema}
    form |= {word: sorted(schema[word]) for word in ("enum", "required") if word in schema}
    form["alternatives"] = sorted(one["required"][0] for one in schema.get("oneOf", ()) if "required" in one)
    form["fields"] = {name: _form(below) for name, below in (schema.get("properties") or {}).items()}
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), Mapping):
            form[word] = _form(schema[word])
    return form
