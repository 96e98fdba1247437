"""A background task that ends by itself is a fault and is logged; a cancelled one is not."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from totesys.errors import DatabaseUnavailable
from totesys.log_events import LogEvent
from totesys.service.background import Background


async def returns() -> None:
    await asyncio.sleep(0)


async def fails_with_a_defect() -> None:
    raise KeyError("run 7")


async def fails_with_an_error_of_its_own() -> None:
    raise DatabaseUnavailable("The warehouse does not answer.")


async def is_cancelled_from_within() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("task", "kind", "error"),
    [
        (returns, "no error", ""),
        (fails_with_a_defect, "KeyError", "'run 7'"),
        (fails_with_an_error_of_its_own, "DatabaseUnavailable", "The warehouse does not answer."),
        (is_cancelled_from_within, "CancelledError", ""),
    ],
)
async def test_a_task_that_ends_by_itself_is_a_fault_and_its_error_is_logged(
    task: Callable[[], Awaitable[None]], kind: str, error: str
) -> None:
    background = Background()
    assert background.fault is None
    with capture_logs() as logs:
        async with background.during("sweeper", task):  # type: ignore[arg-type]
            await asyncio.sleep(0.01)
            assert background.fault == f"the background task 'sweeper' has ended ({kind}); see the service's log"
    (said,) = logs
    assert (said["log_level"], said["event"]) == ("error", LogEvent.BACKGROUND_TASK_ENDED)
    assert (said["task"], said["kind"], said["error"]) == ("sweeper", kind, error)
    assert isinstance(said["exc_info"], KeyError) == (kind == "KeyError")
    assert background.fault is not None, "nobody begins it again"


async def test_a_cancelled_task_is_not_a_fault() -> None:
    background, stopping = Background(), asyncio.Event()

    async def until_told() -> None:
        await stopping.wait()

    with capture_logs() as logs:
        async with background.during("for ever", asyncio.Event().wait):  # type: ignore[arg-type]
            task = background.start("until told", until_told, may_end=stopping.is_set)
            await asyncio.sleep(0)
            stopping.set()
            await task
    assert background.fault is None
    assert not logs


async def test_a_dead_task_does_not_end_the_others_nor_the_block() -> None:
    background, beats = Background(), 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    async with background.during("heart", beat), background.during("dead", fails_with_a_defect):
        await asyncio.sleep(0.01)
        before = beats
        await asyncio.sleep(0.01)
        assert beats > before
