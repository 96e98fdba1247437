"""A warehouse's content as counts and checksums, which know no order and no generated id."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import asyncpg

from totesys.connection import Connection, connect, redacted
from totesys.database_errors import plain
from totesys.errors import WarehouseMismatch
from totesys.schema import ETL, Model
from totesys.sql import column_list, ident, qualified
from totesys.table import Fact

# The ledger's tables, with what of them does not depend on when and where runs were loaded.
_LEDGER = {
    "run": ("run", "extraction", "complete", "snapshot_time"),
    "deletion": ("table_name", "id", "run", "returned_run"),
    "orphan": ("table_name", "id", "run", "reasons", "row"),
}


@dataclass(frozen=True)
class Checksum:
    """How many rows, and the sum of their hashes."""

    rows: int = 0
    hashes: Decimal = Decimal(0)


@dataclass(frozen=True)
class Run:
    """Where a version came from: its run, and the snapshot that this is of."""

    run: int
    snapshot_time: datetime


@dataclass(frozen=True)
class Content:
    """The checksum of each table, and of each fact's versions by their run."""

    tables: dict[str, Checksum]
    versions: dict[str, dict[Run, Checksum]]


OnTable = Callable[[str], None]


def scans(model: Model) -> int:
    """How many times `content` reads a table, and tells that."""
    return len(model.tables) + len(_LEDGER) + len(model.facts)


async def content(what: str, dsn: str, schema: str, model: Model, on_table: OnTable) -> Content:
    """What a warehouse holds at one moment; `on_table` hears of each table that was read.

    Raises WarehouseMismatch if a table is not there; DatabaseUnavailable, AccessDenied or SettingsError if it cannot
    be read.
    """
    async with connect(what, dsn) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        try:
            tables: dict[str, Checksum] = {}
            for table in model.tables:
                relation = qualified(schema, table.name)
                tables[table.name] = await _checksum(connection, relation, table.column_names)
                on_table(table.name)
            for name, columns in _LEDGER.items():
                tables[f"{ETL}.{name}"] = await _checksum(connection, qualified(ETL, name), columns)
                on_table(f"{ETL}.{name}")
            versions: dict[str, dict[Run, Checksum]] = {}
            for fact in model.facts:
                versions[fact.name] = await _by_run(connection, schema, fact)
                on_table(f"{fact.name}, run by run")
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
            raise WarehouseMismatch(
                f"{what} at {redacted(dsn)} is not what the model declares: {plain(error)}. Name the database and the "
                "schema that hold the declared tables."
            ) from error
    return Content(tables, versions)


def _hashes(columns: tuple[str, ...]) -> str:
    return f"count(*), coalesce(sum(hash_record_extended(ROW({column_list(columns, 't')}), 0)), 0)"


async def _checksum(connection: Connection, relation: str, columns: tuple[str, ...]) -> Checksum:
    row = await connection.fetchrow(f"SELECT {_hashes(columns)} FROM {relation} AS t")
    assert row is not None
    return Checksum(row[0], row[1])


async def _by_run(connection: Connection, schema: str, fact: Fact) -> dict[Run, Checksum]:
    rows = await connection.fetch(
        f"SELECT r.run, r.snapshot_time, {_hashes(fact.column_names)} FROM {ETL}.run AS r "
        f"JOIN {ETL}.run_table AS w USING (lake, run) JOIN {qualified(schema, fact.name)} AS t "
        f"ON t.{ident(fact.record_id)} BETWEEN w.first_record_id AND w.last_record_id "
        "WHERE w.table_name = $1 GROUP BY r.lake, r.run, r.snapshot_time",
        fact.name,
    )
    return {Run(row[0], row[1]): Checksum(row[2], row[3]) for row in rows}
