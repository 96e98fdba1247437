"""How old what the warehouse shows is: told again and again, whether or not anything arrives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from totesys.errors import TotesysError
from totesys.lake.lake import Lake
from totesys.logs import logger, metrics
from totesys.postgres import Connection, connect
from totesys_load import ledger
from totesys_load.settings import LoadSettings
from totesys_load.warehouse import WHAT

log = logger("totesys.load.freshness")


async def shown(connection: Connection, lake: Lake) -> datetime | None:
    """The moment of the newest snapshot of which the warehouse shows all; None if there is none.

    A run without parts is proof that nothing had changed until its snapshot, if all runs with parts before it are
    loaded: it names the newest of them.
    """
    counter = await lake.counter()
    if counter is None:
        return None
    loaded = await ledger.shown(connection, counter.lake)
    newest = await lake.newest_manifest()
    proves = newest is not None and newest.empty and newest.previous <= loaded.last < newest.run
    return newest.snapshot_time if newest and proves and not loaded.within_extraction else loaded.snapshot_time


async def tell(settings: LoadSettings, lake: Lake) -> None:
    """Log it once, with the metric. Raises TotesysError."""
    async with connect(WHAT, settings.warehouse_dsn.get_secret_value()) as connection:
        moment = await shown(connection, lake)
    if moment is None:
        log.info("nothing shown yet")
        return
    seconds = round((datetime.now(UTC) - moment).total_seconds(), 3)
    log.info("freshness", snapshot_time=moment, **metrics({"stage": "load"}, Freshness=(seconds, "Seconds")))


@asynccontextmanager
async def telling(settings: LoadSettings, lake: Lake) -> AsyncIterator[None]:
    """Tell it in the background of the block, every `freshness_every`."""
    task = asyncio.create_task(_tell_again_and_again(settings, lake, settings.freshness_every))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _tell_again_and_again(settings: LoadSettings, lake: Lake, every: timedelta) -> None:
    while True:
        await asyncio.sleep(every.total_seconds())
        try:
            await tell(settings, lake)
        except TotesysError as error:
            # Silence is what the alarm rings at.
            log.warning("freshness unknown", error=str(error), kind=type(error).__name__, next="asked again")
