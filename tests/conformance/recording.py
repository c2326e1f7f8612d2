"""What a real server has answered to each scenario, kept so that no such server is needed to compare with it.

Run as a program it starts one, asks it everything, and writes down what it says (``make record``).
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests.conformance.playing import Answer, Server, play
from tests.conformance.scenario import scenarios

__all__ = ["Recording", "answers_of", "recorded"]

Recording: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
"""The answers, as data, by the title of their scenario."""

RECORDED: Final = Path(__file__).parent / "recorded"


def recorded() -> Recording:
    """Return what the real server has answered."""
    answers: dict[str, Sequence[Mapping[str, Any]]] = {}
    for path in sorted(RECORDED.glob("*.json")):
        answers |= json.loads(path.read_text())
    return answers


def answers_of(server: Server, file: str) -> Recording:
    """Play the scenarios of a file, and return the answers."""
    return {scenario.title: _as_data(play(scenario, server)) for scenario in scenarios()[file]}


def _as_data(answers: Sequence[Answer]) -> Sequence[Mapping[str, Any]]:
    plain: Sequence[Mapping[str, Any]] = json.loads(json.dumps([answer.as_data for answer in answers]))
    return plain


def written(recording: Recording) -> str:
    """Return a recording as text: one answer a line, so that a difference is one line."""
    blocks = []
    for title, answers in recording.items():
        lines = ",\n".join(f"  {json.dumps(answer, sort_keys=True)}" for answer in answers)
        blocks.append(f"{json.dumps(title)}: [\n{lines}\n]")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def main() -> int:
    """Record everything anew."""
    from tests.conformance.servers import real  # noqa: PLC0415 - only here a real server is started
    from tests.real.programs import built  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as directory, real(Path(directory), built()) as server:
        for name in scenarios():
            (RECORDED / f"{name}.json").write_text(written(answers_of(server, name)))
    print(sum(map(len, recorded().values())), "answers are recorded")  # noqa: T201 - a program
    return 0


if __name__ == "__main__":
    sys.exit(main())
