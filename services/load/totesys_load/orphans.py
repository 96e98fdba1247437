"""All SQL of orphans: fact versions that wait, with their record ids, for a dimension's row."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from totesys.connection import Connection
from totesys.lake.records import ProcessedManifest
from totesys.schema import Model
from totesys.sql import column_list, ident, literal, qualified
from totesys.table import Column, Fact
from totesys_load.ddl import ETL
from totesys_load.merge import count, references


@dataclass(frozen=True)
class Orphan:
    """A version that was taken out of a fact: its record id, its values as text, and what it refers to in vain."""

    record_id: int
    row: Mapping[str, str | None]
    reasons: Sequence[str]


async def waiting(connection: Connection) -> set[str]:
    """The facts that have orphans."""
    return {row[0] for row in await connection.fetch(f"SELECT DISTINCT table_name FROM {ETL}.orphan")}


async def are_between(connection: Connection, fact: str, first: int, last: int) -> bool:
    """Whether an id from `first` to `last` has an orphan."""
    query = f"SELECT EXISTS (SELECT FROM {ETL}.orphan WHERE table_name = $1 AND id BETWEEN $2 AND $3)"
    return bool(await connection.fetchval(query, fact, first, last))


async def keep(connection: Connection, fact: Fact, manifest: ProcessedManifest, orphans: Sequence[Orphan]) -> None:
    """Let orphans of the run wait."""
    await connection.executemany(
        f"INSERT INTO {ETL}.orphan (table_name, record_id, id, lake, run, reasons, row) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            (
                fact.name,
                orphan.record_id,
                int(orphan.row[fact.key] or 0),
                manifest.lake,
                manifest.run,
                list(orphan.reasons),
                json.dumps(orphan.row),
            )
            for orphan in orphans
        ],
    )


async def forget(connection: Connection, fact: Fact, manifest: ProcessedManifest) -> None:
    """Leave the run's orphans to whoever writes its versions again."""
    await connection.execute(
        f"DELETE FROM {ETL}.orphan WHERE table_name = $1 AND lake = $2 AND run = $3",
        fact.name,
        manifest.lake,
        manifest.run,
    )


async def place(connection: Connection, schema: str, model: Model, fact: Fact) -> int:
    """Write each orphan whose dimension rows are all there now, with the record id that it kept; how many."""
    there = "".join(
        f" AND (row->>{literal(name)} IS NULL OR EXISTS (SELECT FROM {qualified(schema, dimension.name)} AS d "
        f"WHERE d.{ident(dimension.key)} = {_value(fact.column(name))}))"
        for name, dimension in references(model, fact)
    )
    values = ", ".join(_value(column) for column in fact.columns)
    status = await connection.execute(
        f"WITH placed AS (DELETE FROM {ETL}.orphan WHERE table_name = $1{there} RETURNING *), "
        "number AS (SELECT lake, run, count(*) AS rows FROM placed GROUP BY lake, run), "
        f"tables AS (UPDATE {ETL}.run_table AS t SET rows_written = t.rows_written + n.rows, "
        "rows_quarantined = t.rows_quarantined - n.rows FROM number AS n "
        "WHERE t.lake = n.lake AND t.run = n.run AND t.table_name = $1), "
        f"runs AS (UPDATE {ETL}.run AS r SET rows_written = r.rows_written + n.rows FROM number AS n "
        "WHERE r.lake = n.lake AND r.run = n.run) "
        f"INSERT INTO {qualified(schema, fact.name)} ({ident(fact.record_id)}, {column_list(fact.column_names)}) "
        f"OVERRIDING SYSTEM VALUE SELECT record_id, {values} FROM placed",
        fact.name,
    )
    return count(status)


def _value(column: Column) -> str:
    return f"CAST(row->>{literal(column.name)} AS {column.type.postgres})"
