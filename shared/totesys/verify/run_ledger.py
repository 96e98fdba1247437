"""The newest run in the warehouse's ledger, and whether it is of this source."""

import asyncpg

from totesys import ledger_schema
from totesys.schema import ETL
from totesys.transactions import HALF_CIRCLE, LSN, OUTCOMES, SOURCE_ID, HighWaterMark, Position, SourceState
from totesys.verify.side import Side
from totesys.verify.verification_result import NewestRun

_READ = (ledger_schema.RUN, ledger_schema.RUN_TABLE, ledger_schema.DELETION)
RUN, RUN_TABLE, DELETION = (table.qualified for table in _READ)

_IS_THERE = "SELECT count(*) = 3 FROM pg_tables WHERE schemaname = $1 AND tablename = ANY ($2::text[])"
_NEWEST = f"""
SELECT run, snapshot_time, source, xmin_after, to_jsonb(newest) ->> 'high_water_mark' AS high_water_mark,
       to_jsonb(newest) ->> 'position' AS position
FROM {RUN} AS newest
WHERE complete AND lake = (SELECT lake FROM {RUN} WHERE complete ORDER BY snapshot_time DESC LIMIT 1)
ORDER BY run DESC LIMIT 1"""
_SOURCE = f"SELECT {SOURCE_ID} AS id, {LSN} AS lsn, pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax"


async def has_ledger(warehouse: Side) -> bool:
    """Whether the warehouse has a ledger."""
    return bool(await warehouse.value(_IS_THERE, ETL, [table.name for table in _READ]))


async def newest_run(warehouse: Side) -> asyncpg.Record | None:
    """The ledger's row of the newest complete run."""
    return next(iter(await warehouse.rows(_NEWEST)), None)


async def run_of_source(newest: asyncpg.Record | None, source: Side) -> tuple[NewestRun | None, str]:
    """The newest run, or the reason why it can't be compared with this source.

    Take the source's snapshot after the warehouse's: then a later run in the warehouse contains only rows that changed
    in the source since the newest run.
    """
    if newest is None:
        return None, "the ledger has no complete run"
    if newest["xmin_after"] is None:
        return None, f"the ledger does not record which transactions run {newest['run']} has seen"
    mark = HighWaterMark(xmax=newest["xmin_after"])
    if newest["high_water_mark"] is not None:
        mark = HighWaterMark.model_validate_json(newest["high_water_mark"])
    now = await source.row(_SOURCE)
    position, outcomes = None, None
    if newest["position"] is not None:
        position = Position.model_validate_json(newest["position"])
        outcomes = await source.value(OUTCOMES, position.outcomes.first, position.outcomes.after)
    if reason := SourceState(now["id"], now["lsn"], outcomes).breaks_with(newest["source"], position):
        return None, reason
    if not mark.xmax <= now["xmax"] < mark.xmin + HALF_CIRCLE:
        return None, f"run {newest['run']} has seen transaction {mark.xmax}, but the source is at {now['xmax']}"
    return NewestRun(newest["run"], newest["snapshot_time"], mark), ""


async def written_by_runs(warehouse: Side, table: str) -> bool:
    """Whether any run has written rows of the table."""
    query = f"SELECT EXISTS (SELECT FROM {RUN_TABLE} WHERE table_name = $1 AND rows_written > 0)"
    return bool(await warehouse.value(query, table))


async def is_built_today(warehouse: Side, source: Side, table: str) -> bool:
    """Whether the newest run with the table has a snapshot of today, by the source's clock."""
    of_table = f"SELECT FROM {RUN_TABLE} AS t WHERE (t.lake, t.run, t.table_name) = (r.lake, r.run, $1)"
    newest = "ORDER BY snapshot_time DESC, run DESC LIMIT 1"
    query = f"SELECT snapshot_time::date FROM {RUN} AS r WHERE EXISTS ({of_table}) {newest}"
    built = await warehouse.value(query, table)
    return built is None or built == await source.value("SELECT now()::date")
