"""What is read from the API server's refusals, and that one of another form is still no more than a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from safeapply.adapters.connection import Reply
from safeapply.adapters.refusals import conflicting_managers, without_managers


def cause(manager: str, field: str) -> dict[str, Any]:
    """Return a conflict over a field."""
    return {"reason": "FieldManagerConflict", "message": f'conflict with "{manager}"', "field": field}


def refusal(*causes: Any) -> Reply:
    """Return a 409 with causes."""
    return Reply(409, {"kind": "Status", "details": {"causes": list(causes)}})


def test_managers_that_give_way_are_left_out_in_the_servers_own_words() -> None:
    """Of three conflicts one is over when the fields of client-side apply are handed over."""
    conflict = refusal(cause("kubectl", ".spec.a"), cause("alice", ".spec.b"), cause("alice", ".spec.c"))
    assert conflicting_managers(conflict) == {"kubectl", "alice"}
    left = without_managers(conflict, {"kubectl"})
    assert conflicting_managers(left) == {"alice"}
    assert left.message == 'Apply failed with 2 conflicts: conflicts with "alice":\n- .spec.b\n- .spec.c'
    alone = without_managers(refusal(cause("kubectl", ".spec.a"), cause("bob", ".spec.b")), {"kubectl"})
    assert alone.message == 'Apply failed with 1 conflict: conflict with "bob": .spec.b'


@pytest.mark.parametrize(
    "document",
    [
        {"details": True},
        {"details": {"causes": True}},
        {"details": {"causes": [None]}},
        {"details": {"causes": [{"reason": "FieldManagerConflict", "message": []}]}},
        {"details": None},
        {"details": {"causes": None}},
        {},
    ],
    ids=str,
)
def test_a_refusal_of_another_form_names_no_manager(document: dict[str, Any]) -> None:
    """It is told as it is; nothing is concluded from it."""
    assert conflicting_managers(Reply(409, {"message": "no", **document})) == frozenset()


def test_an_answer_that_refuses_nothing_names_no_manager() -> None:
    """Whatever its fields are called."""
    assert conflicting_managers(Reply(200, refusal(cause("alice", ".spec.a")).document)) == frozenset()
