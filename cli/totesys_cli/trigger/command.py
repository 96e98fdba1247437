"""`totesys trigger`."""

import asyncio
import json as json_module
from collections.abc import Awaitable, Callable
from datetime import timedelta

from rich.console import Console

from totesys.lake.store import Lake
from totesys.service.runs import RunState, run_detail
from totesys.stage_names import Stage
from totesys.triggers import ExtractTrigger, LoadTrigger, Trigger
from totesys_cli import show
from totesys_cli.errors import StageFailed
from totesys_cli.place import Place
from totesys_cli.status.render import to_table, verification_line
from totesys_cli.status.snapshot import verification_status
from totesys_cli.trigger import wait

Send = Callable[[], Awaitable[str]]


async def run_trigger(
    console: Console, place: Place, stage: Stage, wakeup: Trigger, longest: timedelta | None, *, json: bool
) -> None:
    """Send the wake-up, and print its message's id; with `longest` wait at most so long, and print what was done.

    Raises StageFailed if that fails, or is not done in time.
    """
    async with place.queue(stage) as queue:

        async def send() -> str:
            return await queue.send(wakeup.model_dump_json(exclude_none=True))

        if longest is None:
            message = await send()
            _show_message(console, stage, message, json=json)
            return
        try:
            async with place.lake() as lake, asyncio.timeout(longest.total_seconds()):
                await _until_done(console, lake, stage, wakeup, send, json=json)
        except TimeoutError:
            raise StageFailed(
                f"{stage} has not done what it was asked for within {longest}. What was sent goes on. Check that the "
                "services run; if they do, `totesys status` and `totesys dlq list` say what is in the way."
            ) from None


def _show_message(console: Console, stage: Stage, message: str, *, json: bool) -> None:
    if json:
        console.print_json(json_module.dumps({"message_id": message}))
    else:
        console.print(f"{stage} is woken by message {message}.", soft_wrap=True, highlight=False)


async def _until_done(console: Console, lake: Lake, stage: Stage, wakeup: Trigger, send: Send, *, json: bool) -> None:
    notes = Console(stderr=True)

    def tell(text: str) -> None:
        notes.print(text, soft_wrap=True, markup=False, highlight=False)

    if isinstance(wakeup, LoadTrigger) and wakeup.verify:
        await _verification(console, lake, send, json=json)
    elif isinstance(wakeup, ExtractTrigger):
        await _runs(console, lake, await wait.extracted(lake, wakeup, send, tell), json=json)
    else:
        assert stage != "ingest"
        await _runs(console, lake, await wait.done(lake, stage, send, tell), json=json)


async def _verification(console: Console, lake: Lake, send: Send, *, json: bool) -> None:
    record = await wait.verified(lake, send)
    if json:
        console.print_json(record.model_dump_json())
    else:
        console.print(verification_line(verification_status(record)))
    if not record.equal:
        raise StageFailed("The warehouse is not what the source says: `totesys verify` names the rows.")


async def _runs(console: Console, lake: Lake, numbers: list[int], *, json: bool) -> None:
    details = await asyncio.gather(*(run_detail(lake, number) for number in numbers))
    runs = [RunState.model_validate(detail.model_dump()) for detail in details if detail]
    if json:
        console.print_json(show.to_json(runs))
    elif runs:
        console.print(to_table(runs))
    else:
        console.print("Nothing was to be done.")
