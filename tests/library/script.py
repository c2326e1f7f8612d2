"""What a script that uses the library says to a type checker; never run, and checked by mypy and pyright."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import assert_type

import safeapply
from safeapply import aio, errors


def blocking() -> None:
    """Every function, with every form of manifests."""
    assert_type(safeapply.plan("deploy/"), safeapply.Plan)
    assert_type(safeapply.apply(Path("deploy"), soak=0.5, on_timeout="rollback"), safeapply.Rollout)
    assert_type(safeapply.apply({"kind": "Service"}, dry_run=True), safeapply.Rollout)
    assert_type(safeapply.apply([{"kind": "Service"}, "deploy/"]), safeapply.Rollout)
    assert_type(safeapply.delete("kind: Service\n", exclude=["shop/*"]), safeapply.Rollout)
    assert_type(safeapply.rollback(timeout=60, via="exec", lock_namespace="shop"), safeapply.Rollout)
    assert_type(safeapply.check(live="cluster"), tuple[safeapply.Finding, ...])
    safeapply.wait("subset=reviews.default/v2", "virtualservice=default/reviews", timeout=60)
    for step in safeapply.plan("deploy/").steps:
        assert_type(step, safeapply.Step)


def wrong() -> None:
    """What has to be found: mypy and pyright say so where such a comment is not needed."""
    safeapply.apply("deploy/", on_timeout="explode")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    safeapply.rollback(record=False)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    safeapply.apply(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def awaited() -> None:
    """The twins, and the iterator."""
    assert_type(await aio.apply("deploy/", on_event=print), safeapply.Rollout)
    assert_type(aio.events(aio.apply, "deploy/", soak=0), AsyncGenerator[safeapply.Event, None])
    try:
        async with aclosing(aio.events(aio.wait, "subset=reviews.default/v2")) as happening:
            async for event in happening:
                assert_type(event, safeapply.Event)
    except errors.RefusedError as error:
        assert_type(error.refusals, tuple[errors.Refused, ...])
    except errors.BarrierTimeoutError as error:
        assert_type(error.stragglers, tuple[str, ...])
        assert_type(error.exit_code, int)


asyncio.run(awaited())
