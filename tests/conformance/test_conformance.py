"""The embedded API server answers as a real one: each scenario is played, and compared with what that has answered.

What it answered is in ``recorded/``; ``tests/real/test_conformance.py`` holds a real server against the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

import pytest

from tests.conformance.differences import Difference, Permission, differences, permissions
from tests.conformance.recording import Recording, answers_of, recorded
from tests.conformance.scenario import scenarios
from tests.conformance.servers import embedded

TITLES = [scenario.title for group in scenarios().values() for scenario in group]


@pytest.fixture(scope="module")
def real() -> Recording:
    """Return what the real server has answered."""
    return recorded()


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Return what the embedded server answers, all of it: what is listed has to occur somewhere."""
    answers: dict[str, Sequence[Mapping[str, object]]] = {}
    with embedded(tmp_path_factory.mktemp("embedded")) as server:
        for name in scenarios():
            answers |= answers_of(server, name)
    return answers


@pytest.fixture(scope="module")
def found(real: Recording, ours: Recording) -> Mapping[str, Sequence[Difference]]:
    """Return where the two differ, by scenario."""
    return {title: tuple(differences(title, real[title], ours[title])) for title in TITLES}


def test_every_scenario_has_a_title_of_its_own() -> None:
    """By its title a scenario is found in the recording and in the list of differences."""
    assert len(TITLES) == len(set(TITLES))


def test_everything_is_recorded_and_nothing_else(real: Recording) -> None:
    """A scenario that was changed is recorded anew: ``make record``."""
    asked = {
        scenario.title: [step.line for step in scenario.steps] for one in scenarios().values() for scenario in one
    }
    assert {title: [answer["request"] for answer in answers] for title, answers in real.items()} == asked


@pytest.mark.parametrize("title", TITLES)
def test_the_embedded_server_answers_as_the_real_one(title: str, found: Mapping[str, Sequence[Difference]]) -> None:
    """Code, reason and body are the real server's, but for what is listed with a reason."""
    permitted = permissions()
    surprising = [one for one in found[title] if not any(permission.covers(one) for permission in permitted)]
    assert not surprising, "\n".join(map(str, surprising))


@pytest.mark.parametrize("permission", permissions(), ids=lambda one: f"{one.scenario[:40]} {one.field}")
def test_what_is_listed_still_differs(permission: Permission, found: Mapping[str, Sequence[Difference]]) -> None:
    """A difference that has gone leaves the list."""
    assert any(permission.covers(one) for differing in found.values() for one in differing), permission


def test_there_is_enough_to_compare(real: Recording, ours: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """More than 300 requests are compared; the figures are printed."""
    equal = sum(
        not list(differences(title, [one], [two])) for title in TITLES for one, two in _pairs(real, ours, title)
    )
    requests = sum(map(len, real.values()))
    with capsys.disabled():
        sys.stdout.write(
            f"\nAPI conformance: {requests} requests, {equal} equal, {requests - equal} with listed differences\n"
        )
    assert requests > 300
    assert equal > 0.9 * requests


def _pairs(
    real: Recording, ours: Recording, title: str
) -> Iterator[tuple[Mapping[str, object], Mapping[str, object]]]:
    return zip(real[title], ours[title], strict=True)
