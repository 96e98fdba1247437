"""`totesys compare`: are two warehouses of one lake equal, except for generated ids? By counts and checksums."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import asyncpg
from rich.console import Group
from rich.text import Text

from totesys.concurrency import gather_pair
from totesys.connection import Connection, connect, redacted
from totesys.database_errors import plain
from totesys.errors import WarehouseMismatch
from totesys.schema import ETL, Model, load_model
from totesys.sql import column_list, ident, qualified
from totesys.table import Fact
from totesys_cli.options import WarehouseLocation
from totesys_cli.progress import LINE_SECONDS, progress
from totesys_cli.terminal import Output, table

# The ledger's tables, and their columns that do not depend on when and where runs were loaded.
_LEDGER = {
    "run": ("run", "extraction", "complete", "snapshot_time"),
    "deletion": ("table_name", "id", "run", "returned_run"),
    "orphan": ("table_name", "id", "run", "reasons", "row"),
}
_RUNS_SHOWN = 10
# All digits of a checksum are compared; its column has room for these.
_DIGITS = 2**64

OnTable = Callable[[str], None]


@dataclass(frozen=True)
class TableChecksum:
    """The number of rows and the sum of their hashes, which depend neither on order nor on generated ids."""

    rows: int = 0
    hashes: Decimal = Decimal(0)

    def __str__(self) -> str:
        return f"{int(self.hashes) % _DIGITS:016x}"


@dataclass(frozen=True)
class RunSnapshot:
    """A run and the time of its snapshot."""

    run: int
    snapshot_time: datetime


@dataclass(frozen=True)
class WarehouseContent:
    """The checksum of each table, and of each fact's versions by their run."""

    tables: dict[str, TableChecksum]
    versions: dict[str, dict[RunSnapshot, TableChecksum]]


@dataclass(frozen=True)
class ComparedTable:
    """A table in both warehouses. `different_runs` are those whose versions differ, or are in one warehouse only."""

    table: str
    left: TableChecksum
    right: TableChecksum
    runs: int
    different_runs: tuple[int, ...]

    @property
    def equal(self) -> bool:
        return self.left == self.right and not self.different_runs


async def run_comparison(output: Output, warehouse: WarehouseLocation, other: str) -> bool:
    """Compare the warehouse with the one at the DSN `other`, and print the result; whether all is equal."""
    model = load_model(warehouse.model)
    scans = len(model.tables) + len(_LEDGER) + len(model.facts)
    with progress(2 * scans, every=LINE_SECONDS) as steps:
        left, right = await gather_pair(
            content("The warehouse", warehouse.dsn, warehouse.schema, model, steps.step),
            content("The other warehouse", other, warehouse.schema, model, steps.step),
        )
    return print_comparison(output, left, right)


def print_comparison(output: Output, left: WarehouseContent, right: WarehouseContent) -> bool:
    """Print how two contents compare; whether all is equal."""
    compared = compare(left, right)
    equal = all(one.equal for one in compared)
    tables = [
        {
            "table": one.table,
            "equal": one.equal,
            "rows": [one.left.rows, one.right.rows],
            "checksums": [str(one.left.hashes), str(one.right.hashes)],
            "runs": one.runs,
            "different_runs": one.different_runs,
        }
        for one in compared
    ]
    output.result({"equal": equal, "tables": tables}, _describe(compared))
    return equal


async def content(what: str, dsn: str, schema: str, model: Model, on_table: OnTable) -> WarehouseContent:
    """The content of a warehouse in one snapshot; `on_table` is called after each scan.

    Raises WarehouseMismatch if a table is missing; DatabaseUnavailable, AccessDenied or SettingsError if it cannot be
    read.
    """
    async with connect(what, dsn) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        try:
            tables: dict[str, TableChecksum] = {}
            for one in model.tables:
                tables[one.name] = await _checksum(connection, qualified(schema, one.name), one.column_names)
                on_table(one.name)
            for name, columns in _LEDGER.items():
                tables[f"{ETL}.{name}"] = await _checksum(connection, qualified(ETL, name), columns)
                on_table(f"{ETL}.{name}")
            versions: dict[str, dict[RunSnapshot, TableChecksum]] = {}
            for fact in model.facts:
                versions[fact.name] = await _by_run(connection, schema, fact)
                on_table(f"{fact.name}, run by run")
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
            raise WarehouseMismatch(
                f"{what} at {redacted(dsn)}, schema {schema}, lacks a declared table or column: {plain(error)}. Name "
                "the database and the schema that load filled. If an earlier release filled them, run load of this "
                "release once: it adds what is missing."
            ) from error
    return WarehouseContent(tables, versions)


def compare(left: WarehouseContent, right: WarehouseContent) -> list[ComparedTable]:
    """Compare every table, and every run of a fact: the same versions, from the same snapshots. Pure."""
    return [_compare(name, left, right) for name in left.tables]


def _compare(name: str, left: WarehouseContent, right: WarehouseContent) -> ComparedTable:
    ours, theirs = left.versions.get(name, {}), right.versions.get(name, {})
    runs = ours.keys() | theirs.keys()
    different = sorted({run.run for run in runs if ours.get(run) != theirs.get(run)})
    return ComparedTable(name, left.tables[name], right.tables[name], len(runs), tuple(different))


def _hashes(columns: tuple[str, ...]) -> str:
    return f"count(*), coalesce(sum(hash_record_extended(ROW({column_list(columns, 't')}), 0)), 0)"


async def _checksum(connection: Connection, relation: str, columns: tuple[str, ...]) -> TableChecksum:
    row = await connection.fetchrow(f"SELECT {_hashes(columns)} FROM {relation} AS t")
    assert row is not None
    return TableChecksum(row[0], row[1])


async def _by_run(connection: Connection, schema: str, fact: Fact) -> dict[RunSnapshot, TableChecksum]:
    rows = await connection.fetch(
        f"SELECT r.run, r.snapshot_time, {_hashes(fact.column_names)} FROM {ETL}.run AS r "
        f"JOIN {ETL}.run_table AS w USING (lake, run) JOIN {qualified(schema, fact.name)} AS t "
        f"ON t.{ident(fact.record_id)} BETWEEN w.first_record_id AND w.last_record_id "
        "WHERE w.table_name = $1 GROUP BY r.lake, r.run, r.snapshot_time",
        fact.name,
    )
    return {RunSnapshot(row[0], row[1]): TableChecksum(row[2], row[3]) for row in rows}


def _describe(compared: Sequence[ComparedTable]) -> Group:
    """A line for each table, the verdict, and the runs that differ."""
    rows = table("table", numbers=("rows", "checksum", "other rows", "checksum", "runs", "runs differing"))
    for one in compared:
        cells = [f"{one.left.rows:,}", str(one.left), f"{one.right.rows:,}", str(one.right)]
        runs = [f"{one.runs:,}", f"{len(one.different_runs):,}"] if one.runs else ["", ""]
        rows.add_row(one.table, *cells, *runs, style="" if one.equal else "bold red")
    different = [one for one in compared if not one.equal]
    total = sum(one.left.rows for one in compared)
    verdict = Text(f"The warehouses are equal: {total:,} rows, every column, versions run by run.", style="green")
    if different:
        verdict = Text(f"The warehouses differ in {', '.join(one.table for one in different)}.", style="bold red")
    return Group(rows, verdict, *(_runs(one) for one in different if one.different_runs))


def _runs(one: ComparedTable) -> Text:
    more = ", …" if len(one.different_runs) > _RUNS_SHOWN else ""
    return Text(f"{one.table} differs in runs {', '.join(map(str, one.different_runs[:_RUNS_SHOWN]))}{more}")
