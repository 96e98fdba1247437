"""All SQL that says which run brought each key of a dimension last, by ranges of keys.

A dimension has one row a key, the newest: when an old run is loaded again, what a later run brought must not be
overwritten. The ledger of a release that did not note this yet is completed from the lake, where it is asked for.
"""

from collections.abc import Sequence
from uuid import UUID

from totesys.connection import Connection
from totesys.lake.records import RunRecord
from totesys_load.ddl import ETL
from totesys_load.key_ranges import KeyRange, without

# The noted ranges that any of the ranges $2 to $3 meets. Those of a table are apart from each other, so that the index
# finds them by where they end: inside the range, or first after it.
_MET = f"""
SELECT DISTINCT met.first_key, met.last_key, met.lake, met.run
FROM unnest($2::bigint[], $3::bigint[]) AS r (first_key, last_key) CROSS JOIN LATERAL (
    SELECT * FROM {ETL}.dimension_key AS i WHERE i.table_name = $1 AND i.last_key BETWEEN r.first_key AND r.last_key
    UNION ALL
    SELECT * FROM (SELECT * FROM {ETL}.dimension_key AS a WHERE a.table_name = $1 AND a.last_key > r.last_key
                   ORDER BY a.last_key LIMIT 1) AS above WHERE above.first_key <= r.last_key) AS met
ORDER BY met.first_key"""


async def not_brought_later(
    connection: Connection, table: str, run: RunRecord, ranges: Sequence[KeyRange]
) -> list[KeyRange]:
    """What of the ranges no later run of the lake brought, as far as is noted."""
    found = await _met(connection, table, ranges)
    return without(ranges, [keys for keys, lake, number in found if lake == run.lake and number > run.run])


async def note(connection: Connection, table: str, run: RunRecord, ranges: Sequence[KeyRange]) -> None:
    """Note that the run is the last that brought these keys."""
    found = await _met(connection, table, ranges)
    rest = [(part, lake, number) for keys, lake, number in found for part in without([keys], ranges)]
    noted = [*rest, *((keys, run.lake, run.run) for keys in ranges)]
    ends = {keys.last for keys, _, _ in noted}
    if gone := [keys.last for keys, _, _ in found if keys.last not in ends]:
        query = f"DELETE FROM {ETL}.dimension_key WHERE table_name = $1 AND last_key = ANY ($2::bigint[])"
        await connection.execute(query, table, gone)
    if noted:
        await connection.execute(
            f"INSERT INTO {ETL}.dimension_key (table_name, first_key, last_key, lake, run) "
            "SELECT $1, n.* FROM unnest($2::bigint[], $3::bigint[], $4::uuid[], $5::bigint[]) AS n "
            "ON CONFLICT (table_name, last_key) DO UPDATE SET first_key = excluded.first_key, lake = excluded.lake, "
            "run = excluded.run",
            table,
            [keys.first for keys, _, _ in noted],
            [keys.last for keys, _, _ in noted],
            [lake for _, lake, _ in noted],
            [number for _, _, number in noted],
        )


async def _met(connection: Connection, table: str, ranges: Sequence[KeyRange]) -> list[tuple[KeyRange, UUID, int]]:
    if not ranges:
        return []
    rows = await connection.fetch(_MET, table, [keys.first for keys in ranges], [keys.last for keys in ranges])
    return [(KeyRange(row["first_key"], row["last_key"]), row["lake"], row["run"]) for row in rows]


async def runs_not_noted(connection: Connection, table: str, run: RunRecord, limit: int) -> list[int]:
    """The newest runs after this one whose keys of the table are not noted."""
    rows = await connection.fetch(
        f"SELECT run FROM {ETL}.run_table WHERE table_name = $1 AND lake = $2 AND run > $3 AND NOT keys_noted "
        "AND rows_read > 0 ORDER BY run DESC LIMIT $4",
        table,
        run.lake,
        run.run,
        limit,
    )
    return [row["run"] for row in rows]


async def set_noted(connection: Connection, table: str, lake: UUID, run: int) -> None:
    """Say that the run's keys of the table are noted."""
    query = f"UPDATE {ETL}.run_table SET keys_noted = true WHERE lake = $1 AND run = $2 AND table_name = $3"
    await connection.execute(query, lake, run, table)
