"""Reads where the source is in its history, and takes a snapshot of it.

Any role may call the functions used here. No statement writes a row.
"""

from collections.abc import Iterable, Sequence
from random import SystemRandom

from totesys.connection import Connection
from totesys.errors import DatabaseUnavailable
from totesys.lake.records import Manifest
from totesys.table import SourceTable, full_refresh_tables
from totesys.transactions import (
    LSN,
    OUTCOMES,
    SOURCE_ID,
    HighWaterMark,
    OpenTransaction,
    Outcomes,
    Position,
    SourceState,
)
from totesys_ingest.source_connection import SourceConnection
from totesys_ingest.starting_point import SourceSnapshot, SourceStatus, standby_lag

# The transactions of a signature, and how many of them are rolled back. No other transactions end in the same order.
_SIGNED, _ABORTED = 32, 16
# How many outcomes a position keeps: those of the signature and of transactions that ended meanwhile.
_KEPT = 128
# With more transactions in progress than this, every row since the oldest one counts as unseen.
_NAMED = 10_000
_IDS_PER_QUERY = 1_000_000

_STATUS = f"""
SELECT {SOURCE_ID} AS source, clock_timestamp() AS time, pg_is_in_recovery() AS in_recovery, {LSN} AS lsn,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax"""

# `pg_xact_status` knows subtransactions, which snapshots omit, and works on a standby, whose snapshots list nothing.
_IN_PROGRESS = "SELECT id FROM {ids} AS id WHERE pg_xact_status(id::text::xid8) = 'in progress'"
_IN_PROGRESS_OF = _IN_PROGRESS.format(ids="unnest($1::bigint[])")
_IN_PROGRESS_BETWEEN = _IN_PROGRESS.format(ids="generate_series($1::bigint, $2::bigint)")

# Only a role that may read all statistics sees when another role's transaction began.
_OPEN = """
SELECT holder, id, since FROM (
    SELECT format('prepared transaction %L of %s in database %s', gid, owner, database) AS holder,
           transaction::text::bigint AS id, prepared AS since
    FROM pg_prepared_xacts
    UNION ALL
    SELECT format('session %s of %s in database %s%s', pid, usename, datname,
                  ' (' || nullif(application_name, '') || ')'),
           backend_xid::text::bigint, xact_start
    FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()) AS open
ORDER BY age(id::text::xid) DESC LIMIT 1"""


async def read_status(connection: Connection, outcomes: Outcomes | None = None) -> SourceStatus:
    """The source's status now, and how the transactions of `outcomes` have ended there."""
    row = await connection.fetchrow(_STATUS)
    assert row is not None
    letters = await _letters(connection, outcomes.first, outcomes.after) if outcomes else None
    place = SourceState(row["source"], row["lsn"], letters)
    return SourceStatus(place, row["time"], row["in_recovery"], row["xmin"], row["xmax"])


async def read_status_since(source: SourceConnection, last: Manifest | None) -> SourceStatus:
    """The source's status. Raises DatabaseUnavailable if a standby shows less than the last run has seen."""
    status = await read_status(source.connection, last.position.outcomes if last and last.position else None)
    if lag := standby_lag(last, status):
        raise DatabaseUnavailable(
            f"{source.location} is a standby that shows less than the warehouse does: {lag}. Ingest waits until it "
            "has caught up. Check its replication: docs/replicas.md."
        )
    return status


async def take_snapshot(
    source: SourceConnection, tables: Sequence[SourceTable], status: SourceStatus, last: Manifest | None
) -> SourceSnapshot:
    """Take a snapshot of the source in a transaction that stays open. Raises ContractBroken.

    Transactions in progress are listed before the snapshot is taken: one that ends in between counts as unseen.
    """
    connection = source.connection
    continues = last is not None and status.place.breaks_with(last.source, last.position) is None
    mark = await read_mark(connection, status, last.next_start if last and continues else None)
    open_transaction = await read_open_transaction(connection, status, last.open_transaction if last else None)
    exported, changes = await source.begin(tables)
    counted = [table.name for table in full_refresh_tables(tables)]
    counted += [name for names in changes.losable.values() for name in names if name not in counted]
    return SourceSnapshot(
        status,
        mark,
        **exported,
        changes=changes,
        open_transaction=open_transaction,
        counts=await source.counts(counted),
    )


async def read_mark(connection: Connection, status: SourceStatus, last: HighWaterMark | None) -> HighWaterMark:
    """What a snapshot taken after `status` has seen at the least.

    A transaction below `xmax` that is in progress at the snapshot was in progress before, too. `last` is an earlier
    mark of the same history: of the transactions before it, only those in progress then can still be in progress.
    """
    first, in_progress = status.xmin, list[int]()
    if last is not None and first < last.xmax <= status.xmax:
        first, in_progress = last.xmax, await _ids(connection, _IN_PROGRESS_OF, last.in_progress)
    for start in range(first, status.xmax, _IDS_PER_QUERY):
        end = min(start + _IDS_PER_QUERY, status.xmax)
        in_progress += await _ids(connection, _IN_PROGRESS_BETWEEN, start, end - 1)
    if len(in_progress) > _NAMED:
        return HighWaterMark(xmax=min(in_progress))
    return HighWaterMark(xmax=status.xmax, in_progress=tuple(in_progress))


async def _ids(connection: Connection, query: str, *parameters: object) -> list[int]:
    return [row["id"] for row in await connection.fetch(query, *parameters)]


async def read_position(connection: Connection, snapshot: SourceSnapshot, last: Position | None) -> Position:
    """The source's position in its history after the snapshot was taken.

    The outcomes are those of transactions that end after the snapshot. If none has ended since `last`, its outcomes
    still serve. Otherwise a primary is signed.
    """
    status, timeline = snapshot.status, snapshot.status.place.timeline
    if last is not None and last.outcomes.after == status.xmax and last.timeline == timeline:
        return Position(timeline=timeline, lsn=snapshot.lsn, outcomes=last.outcomes)
    if not status.in_recovery:
        await _sign(connection)
    now = await read_status(connection)
    first = max(1, now.xmax - _KEPT)
    outcomes = Outcomes(first=first, letters=await _letters(connection, first, now.xmax))
    return Position(timeline=now.place.timeline, lsn=snapshot.lsn, outcomes=outcomes)


async def _sign(connection: Connection) -> None:
    """End some transactions that change nothing in a pattern that no others end in."""
    aborted = SystemRandom().sample(range(_SIGNED), _ABORTED)
    await connection.execute(_transactions("ROLLBACK" if one in aborted else "COMMIT" for one in range(_SIGNED)))


def _transactions(ends: Iterable[str]) -> str:
    return "".join(f"BEGIN READ ONLY; SELECT pg_current_xact_id(); {end};" for end in ends)


async def _letters(connection: Connection, first: int, after: int) -> str:
    return str(await connection.fetchval(OUTCOMES, first, after))


async def read_open_transaction(
    connection: Connection, status: SourceStatus, last: OpenTransaction | None
) -> OpenTransaction | None:
    """The oldest transaction in progress on the server; None on a standby, which does not know its holder.

    If the source hides when it began, `since` is the time when a run first saw it.
    """
    row = await connection.fetchrow(_OPEN)
    if row is None:
        return None
    first_seen = last.since if last and last.id == row["id"] else status.time
    return OpenTransaction(id=row["id"], holder=row["holder"], since=row["since"] or first_seen)
