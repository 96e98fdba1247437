"""What ingest asks a source about its history: where it stands, what is in progress, how transactions have ended.

Everybody may call these functions. No statement writes a row.
"""

from collections.abc import Iterable
from random import SystemRandom

from totesys.connection import Connection
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
from totesys_ingest.start import Standing

# What a signature is made of. Nobody else's transactions end like it.
_SIGNED, _ABORTED = 32, 16
# So many outcomes are kept: the signature's, and those of transactions that ended meanwhile.
_KEPT = 128
# More transactions in progress are not named one by one: all rows since the oldest are unseen then.
_NAMED = 10_000
_ASKED_AT_ONCE = 1_000_000

_STANDING = f"""
SELECT {SOURCE_ID} AS source, clock_timestamp() AS time, pg_is_in_recovery() AS in_recovery, {LSN} AS lsn,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax"""

# `pg_xact_status` knows subtransactions, which snapshots do not tell, and a standby's, whose snapshots tell none.
_IN_PROGRESS = """
SELECT id FROM unnest($1::bigint[]) AS id WHERE pg_xact_status(id::text::xid8) = 'in progress'"""
_IN_PROGRESS_BETWEEN = """
SELECT id FROM generate_series($1::bigint, $2::bigint) AS id WHERE pg_xact_status(id::text::xid8) = 'in progress'"""

# Only a role that may read all statistics is told when another one's transaction began.
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


async def read_standing(connection: Connection, last: Outcomes | None = None) -> Standing:
    """Where the source is now, and how the transactions of `last` have ended."""
    row = await connection.fetchrow(_STANDING)
    assert row is not None
    outcomes = await _letters(connection, last.first, last.after) if last else None
    return Standing(
        SourceState(row["source"], row["lsn"], outcomes), row["time"], row["in_recovery"], row["xmin"], row["xmax"]
    )


async def read_mark(connection: Connection, standing: Standing, last: HighWaterMark | None) -> HighWaterMark:
    """What a snapshot that is taken after `standing` has seen at the least.

    What is in progress when it is taken and has a smaller id than `xmax` was in progress before, too. `last` is of an
    earlier snapshot of the same history: of what is older than that, only what was in progress then can be still.
    """
    first, earlier = standing.xmin, list[int]()
    if last is not None and first < last.xmax <= standing.xmax:
        first, earlier = last.xmax, await _ids(connection, _IN_PROGRESS, last.in_progress)
    in_progress = earlier
    for start in range(first, standing.xmax, _ASKED_AT_ONCE):
        end = min(start + _ASKED_AT_ONCE, standing.xmax)
        in_progress += await _ids(connection, _IN_PROGRESS_BETWEEN, start, end - 1)
    if len(in_progress) > _NAMED:
        return HighWaterMark(xmax=min(in_progress))
    return HighWaterMark(xmax=standing.xmax, in_progress=tuple(in_progress))


async def _ids(connection: Connection, query: str, *parameters: object) -> list[int]:
    return [row["id"] for row in await connection.fetch(query, *parameters)]


async def read_position(connection: Connection, standing: Standing, lsn: int, last: Position | None) -> Position:
    """Where in its history the source is, after a snapshot that shows nothing that is later in the log than `lsn`.

    The outcomes are of transactions that end after the snapshot was taken. Where nothing has ended since `last`, these
    serve again. Else a primary is signed.
    """
    if last is not None and last.outcomes.after == standing.xmax and last.timeline == standing.place.timeline:
        return Position(timeline=standing.place.timeline, lsn=lsn, outcomes=last.outcomes)
    if not standing.in_recovery:
        await _sign(connection)
    now = await read_standing(connection)
    first = max(1, now.xmax - _KEPT)
    letters = await _letters(connection, first, now.xmax)
    return Position(timeline=now.place.timeline, lsn=lsn, outcomes=Outcomes(first=first, letters=letters))


async def _sign(connection: Connection) -> None:
    """End some transactions, which have changed nothing, in a way that no others end."""
    aborted = SystemRandom().sample(range(_SIGNED), _ABORTED)
    await connection.execute(_transactions("ROLLBACK" if one in aborted else "COMMIT" for one in range(_SIGNED)))


def _transactions(ends: Iterable[str]) -> str:
    return "".join(f"BEGIN READ ONLY; SELECT pg_current_xact_id(); {end};" for end in ends)


async def _letters(connection: Connection, first: int, after: int) -> str:
    return str(await connection.fetchval(OUTCOMES, first, after))


async def read_open_transaction(
    connection: Connection, standing: Standing, last: OpenTransaction | None
) -> OpenTransaction | None:
    """The oldest transaction in progress on the server; none on a standby, which does not know who holds one.

    Where the source does not tell when it began, it is the time when a run first met it.
    """
    row = await connection.fetchrow(_OPEN)
    if row is None:
        return None
    known = last.since if last and last.id == row["id"] else standing.time
    return OpenTransaction(id=row["id"], holder=row["holder"], since=row["since"] or known)
