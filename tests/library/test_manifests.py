"""What a script can give: paths, YAML text, objects, several of these; what is wrong is said as by the command."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

import safeapply
from safeapply import errors

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-rename-a-subset"
DESIRED = sorted((EXAMPLE / "desired").iterdir())


def test_paths_texts_and_objects_make_the_same_plan() -> None:
    """However the manifests come, the plan is the same."""
    texts = [one.read_text() for one in DESIRED]
    objects = [one for text in texts for one in yaml.safe_load_all(text) if one]
    forms: list[safeapply.Manifests] = [
        EXAMPLE / "desired",
        str(EXAMPLE / "desired"),
        list(DESIRED),
        texts,
        objects,
        iter(objects),
    ]
    plans = [safeapply.plan(form, live=EXAMPLE / "live") for form in forms]
    shapes = [[[str(o.resource.id) for o in step.operations] for step in made.steps] for made in plans]
    assert len(shapes[0]) >= 3
    assert all(one == shapes[0] for one in shapes)


def test_faults_of_all_forms_are_told_together_with_their_place() -> None:
    """A text that is no manifest and an object without a name: both are named, by their place in the list."""
    with pytest.raises(errors.ManifestsError) as caught:
        safeapply.plan(
            ["nothing\n", {"apiVersion": "v1", "kind": "Service", "metadata": {}}], live=EXAMPLE / "live"
        )
    assert [fault.file for fault in caught.value.faults] == ["manifests[0]", "manifests[1]"]
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("wrong", [[3], [{"kind": object()}], [{"replicas": float("nan")}]])
def test_what_is_no_manifest_is_a_usage_error(wrong: safeapply.Manifests) -> None:
    """It is said which one, and nothing is asked of a cluster."""
    with pytest.raises(errors.UsageError, match=r"manifests\[0\]"):
        safeapply.plan(wrong, live=EXAMPLE / "live")


def test_a_check_needs_no_cluster() -> None:
    """A route to a subset that no rule has is found."""
    route = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews", "namespace": "default"},
        "spec": {
            "hosts": ["reviews"],
            "http": [{"route": [{"destination": {"host": "reviews", "subset": "gone"}}]}],
        },
    }
    found = safeapply.check(route, live=EXAMPLE / "live")
    assert any("gone" in one.effect for one in found)


async def test_where_a_loop_runs_the_twin_is_named() -> None:
    """The blocking function would block it."""
    with pytest.raises(errors.UsageError, match=r"await safeapply.aio.plan\("):
        safeapply.plan(EXAMPLE / "desired", live=EXAMPLE / "live")
    made = await safeapply.aio.plan(EXAMPLE / "desired", live=EXAMPLE / "live")
    assert made.steps
    await asyncio.sleep(0)
