"""Creates and updates the ledger, in numbered migrations that run once and are recorded in `etl.migration`.

A release adds migrations and changes none. A migration only adds tables, columns and indexes, so that the release
before can work with the result.
"""

from totesys.connection import Connection
from totesys.ledger_schema import DELETION, DIMENSION_KEY, MIGRATION, ORPHAN, OWNER, RUN, RUN_TABLE, LedgerTable
from totesys.schema import ETL
from totesys.sql import literal

_CREATE_SCHEMA = f"CREATE SCHEMA IF NOT EXISTS {ETL};\n"


def _declare(*tables: LedgerTable) -> str:
    """Create the tables, or the columns that they lack."""
    return "".join(map(_declaration, tables))


def _declaration(table: LedgerTable) -> str:
    run = f", FOREIGN KEY (lake, run) REFERENCES {RUN.qualified} ON DELETE CASCADE" if table.of_a_run else ""
    add = "".join(
        f"ALTER TABLE {table.qualified} ADD COLUMN IF NOT EXISTS {column};\n"
        for column in table.added.split(", ")
        if column
    )
    return (
        f"CREATE TABLE IF NOT EXISTS {table.qualified} ({table.columns}, PRIMARY KEY ({table.key}){run});\n{add}"
        f"COMMENT ON TABLE {table.qualified} IS {literal(table.description)};\n"
    )


# Releases that recorded no migrations have made these tables already, or some of them.
_FIRST = f"""{_CREATE_SCHEMA}{_declare(RUN, RUN_TABLE, DELETION, ORPHAN)}
CREATE UNIQUE INDEX IF NOT EXISTS deletion_open ON {ETL}.deletion (table_name, id) WHERE returned_run IS NULL;
CREATE INDEX IF NOT EXISTS orphan_id ON {ETL}.orphan (table_name, id);
"""

_HIGH_WATER_MARK = _declare(RUN)

# Which run wrote each dimension's keys last, so that a replay of an earlier run does not overwrite them; and indexes
# that spare queries of the ledger a scan of all runs.
_LAST_KEYS = f"""{_declare(RUN_TABLE, DIMENSION_KEY)}
CREATE INDEX IF NOT EXISTS run_snapshots ON {ETL}.run (snapshot_time, run);
CREATE INDEX IF NOT EXISTS run_table_runs ON {ETL}.run_table (table_name, lake, run);
CREATE INDEX IF NOT EXISTS run_table_record_ids ON {ETL}.run_table (table_name, last_record_id, first_record_id);
CREATE INDEX IF NOT EXISTS run_table_quarantined ON {ETL}.run_table (table_name) WHERE rows_quarantined > 0;
CREATE INDEX IF NOT EXISTS run_table_not_noted ON {ETL}.run_table (table_name, lake, run) WHERE NOT keys_noted;
"""

_OWNER = _declare(OWNER)

_TEXT_KEYS = _declare(DELETION)

MIGRATIONS = (_FIRST, _HIGH_WATER_MARK, _LAST_KEYS, _OWNER, _TEXT_KEYS)
LEDGER = "".join(MIGRATIONS)


async def migrate(connection: Connection, *, recorded: bool) -> None:
    """Run the missing migrations in the caller's transaction. `recorded` tells whether `etl.migration` exists."""
    done = await connection.fetchval(f"SELECT coalesce(max(number), 0) FROM {ETL}.migration") if recorded else 0
    if done >= len(MIGRATIONS):
        return
    await connection.execute(_CREATE_SCHEMA + _declare(MIGRATION))
    for number, migration in enumerate(MIGRATIONS[done:], done + 1):
        await connection.execute(migration)
        await connection.execute(f"INSERT INTO {ETL}.migration (number) VALUES ($1)", number)
