"""How old what the warehouse shows is: told again and again, whether or not anything arrives."""

import asyncio
from datetime import UTC, datetime

from totesys.connection import Connection, connect
from totesys.errors import TotesysError
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger, metrics
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
        log.info(LogEvent.FIRST_RUN_AWAITED)
        return
    # By two clocks, this one's and the source's: `totesys doctor` compares them.
    seconds = max(0.0, round((datetime.now(UTC) - moment).total_seconds(), 3))
    log.info(
        LogEvent.FRESHNESS_MEASURED, snapshot_time=moment, **metrics({"stage": "load"}, Freshness=(seconds, "Seconds"))
    )


async def tell_again_and_again(settings: LoadSettings, lake: Lake) -> None:
    """Tell it every `freshness_every`, until cancelled. What can't be told now is told next time."""
    while True:
        await asyncio.sleep(settings.freshness_every.total_seconds())
        try:
            await tell(settings, lake)
        except TotesysError as error:
            # Silence is what the alarm rings at.
            log.warning(
                LogEvent.FRESHNESS_CHECK_FAILED, error=str(error), kind=type(error).__name__, next="asked again"
            )
