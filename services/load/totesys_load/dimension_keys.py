"""SQL that records which run wrote each key of a dimension last, by ranges of keys.

A dimension has one row per key, the newest. A replay of an old run must not overwrite what a later run wrote. The
ledger of a release that did not record this yet is completed from the lake when a replay needs it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import TypeAlias
from uuid import UUID

from totesys.connection import Connection
from totesys.lake.records import RunRecord
from totesys.schema import ETL
from totesys_load.key_ranges import NumberRange, without

# Keys, and the lake and the run that wrote them last.
WrittenKeys: TypeAlias = tuple[NumberRange, UUID, int]

# The recorded ranges that overlap one of the ranges $2 to $3. The recorded ranges of a table do not overlap each other,
# so the index finds them by their ends: inside the range, or the first one after it.
_OVERLAPPING = f"""
SELECT DISTINCT found.first_key, found.last_key, found.lake, found.run
FROM unnest($2::bigint[], $3::bigint[]) AS r (first_key, last_key) CROSS JOIN LATERAL (
    SELECT * FROM {ETL}.dimension_key AS i WHERE i.table_name = $1 AND i.last_key BETWEEN r.first_key AND r.last_key
    UNION ALL
    SELECT * FROM (SELECT * FROM {ETL}.dimension_key AS a WHERE a.table_name = $1 AND a.last_key > r.last_key
                   ORDER BY a.last_key LIMIT 1) AS above WHERE above.first_key <= r.last_key) AS found
ORDER BY found.first_key"""


async def not_written_later(
    connection: Connection, table: str, run: RunRecord, ranges: Sequence[NumberRange]
) -> list[NumberRange]:
    """The part of the ranges that no later run of the lake wrote, according to the ledger."""
    found = await _overlapping(connection, table, ranges)
    return without(ranges, [keys for keys, lake, number in found if lake == run.lake and number > run.run])


async def record_keys(connection: Connection, table: str, run: RunRecord, ranges: Sequence[NumberRange]) -> None:
    """Record the run as the last one that wrote these keys."""
    found = await _overlapping(connection, table, ranges)
    written = [*remaining(found, ranges), *((keys, run.lake, run.run) for keys in ranges)]
    recorded = sorted(written, key=lambda one: one[0].last)
    ends = {keys.last for keys, _, _ in recorded}
    if gone := [keys.last for keys, _, _ in found if keys.last not in ends]:
        query = f"DELETE FROM {ETL}.dimension_key WHERE table_name = $1 AND last_key = ANY ($2::bigint[])"
        await connection.execute(query, table, gone)
    if recorded:
        await connection.execute(
            f"INSERT INTO {ETL}.dimension_key (table_name, first_key, last_key, lake, run) "
            "SELECT $1, n.* FROM unnest($2::bigint[], $3::bigint[], $4::uuid[], $5::bigint[]) AS n "
            "ON CONFLICT (table_name, last_key) DO UPDATE SET first_key = excluded.first_key, lake = excluded.lake, "
            "run = excluded.run",
            table,
            [keys.first for keys, _, _ in recorded],
            [keys.last for keys, _, _ in recorded],
            [lake for _, lake, _ in recorded],
            [number for _, _, number in recorded],
        )


def remaining(found: Sequence[WrittenKeys], ranges: Sequence[NumberRange]) -> list[WrittenKeys]:
    """What the recorded ranges have besides these ranges. Both are in order, and may be tens of thousands."""
    firsts = [keys.first for keys, _, _ in found]
    parts = without([keys for keys, _, _ in found], ranges)
    # A part belongs to the last recorded range that does not begin after it.
    return [(part, *found[bisect_right(firsts, part.first) - 1][1:]) for part in parts]


async def _overlapping(connection: Connection, table: str, ranges: Sequence[NumberRange]) -> list[WrittenKeys]:
    if not ranges:
        return []
    firsts, lasts = [keys.first for keys in ranges], [keys.last for keys in ranges]
    rows = await connection.fetch(_OVERLAPPING, table, firsts, lasts)
    return [(NumberRange(row["first_key"], row["last_key"]), row["lake"], row["run"]) for row in rows]


async def unrecorded_runs(connection: Connection, table: str, run: RunRecord, limit: int) -> list[int]:
    """The newest later runs whose keys of the table are not recorded."""
    query = (
        f"SELECT run FROM {ETL}.run_table WHERE table_name = $1 AND lake = $2 AND run > $3 AND NOT keys_noted "
        "AND rows_read > 0 ORDER BY run DESC LIMIT $4"
    )
    return [row["run"] for row in await connection.fetch(query, table, run.lake, run.run, limit)]


async def mark_recorded(connection: Connection, table: str, lake: UUID, run: int) -> None:
    """Mark the run's keys of the table as recorded."""
    query = f"UPDATE {ETL}.run_table SET keys_noted = true WHERE lake = $1 AND run = $2 AND table_name = $3"
    await connection.execute(query, lake, run, table)
