"""Emits how old the data in the warehouse is, at an interval, whether or not new data arrives."""

import asyncio
from datetime import UTC, datetime

from totesys.connection import Connection, connect
from totesys.errors import TotesysError
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger, metrics
from totesys_load import ledger_queries
from totesys_load.load_settings import LoadSettings
from totesys_load.warehouse_connection import WHAT

log = logger("totesys.load.freshness")


async def shown_snapshot(connection: Connection, lake: Lake) -> datetime | None:
    """The time of the newest snapshot that the warehouse shows completely; None if there is none.

    An empty run proves that nothing had changed until its snapshot, provided that all runs with parts before it are
    loaded; it names the newest of them.
    """
    counter = await lake.counter()
    if counter is None:
        return None
    loaded = await ledger_queries.loaded_state(connection, counter.lake)
    newest = await lake.newest_manifest()
    proves = newest is not None and newest.empty and newest.previous <= loaded.last < newest.run
    return newest.snapshot_time if newest and proves and not loaded.within_extraction else loaded.snapshot_time


async def emit_once(settings: LoadSettings, lake: Lake) -> None:
    """Log the freshness once, with the metric. Raises TotesysError."""
    async with connect(WHAT, settings.warehouse_dsn.get_secret_value()) as connection:
        snapshot_time = await shown_snapshot(connection, lake)
    if snapshot_time is None:
        log.info(LogEvent.FIRST_RUN_AWAITED)
        return
    # This compares this machine's clock with the source's; `totesys doctor` checks both.
    seconds = max(0.0, round((datetime.now(UTC) - snapshot_time).total_seconds(), 3))
    log.info(LogEvent.FRESHNESS_MEASURED, snapshot_time=snapshot_time, **metrics("load", Freshness=seconds))


async def emit_freshness(settings: LoadSettings, lake: Lake) -> None:
    """Emit the freshness every `freshness_every`, until cancelled. A failed attempt is logged and repeated later."""
    while True:
        await asyncio.sleep(settings.freshness_every.total_seconds())
        try:
            await emit_once(settings, lake)
        except TotesysError as error:
            # No metric is emitted, and missing data fires the alarm.
            kind, next_ = type(error).__name__, "measured again at the next interval"
            log.warning(LogEvent.FRESHNESS_CHECK_FAILED, error=str(error), kind=kind, next=next_)
