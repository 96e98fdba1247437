"""Checks a model against its source without a lake: contract, keys, types, and each build on a sample of rows."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import asyncpg
import polars as pl

from totesys.connection import Connection
from totesys.database_errors import plain
from totesys.errors import ModelError
from totesys.lake.records import REASONS
from totesys.schema import Model
from totesys.sql import column_list, qualified
from totesys.sql_keys import key_list
from totesys.table import Capture, SourceTable, Table, WarehouseTable
from totesys_ingest.source_connection import SourceConnection, csv_header
from totesys_transform.csv_reader import ROW, SourceRows, read_csv
from totesys_transform.table_builder import build, check_grain

SAMPLE_ROWS = 1000
# The most reasons that a sentence names.
_NAMED = 3
_EXPECTED = " expected"


@dataclass
class Findings:
    """A sentence for each problem that would stop or spoil a run, and for each fact worth knowing."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


async def check_model(model: Model, source: SourceConnection) -> Findings:
    """Check everything in one snapshot of the source. Raises what connecting raises."""
    findings = Findings()
    changes = await source.inspect(model.sources)
    findings.problems += [f"{sentence}." for sentence in changes.breaking]
    findings.notes += [f"{change.difference}: {change.next}." for change in changes.non_breaking]
    if changes.breaking:
        findings.notes.append("The rows were not checked: fix these first.")
        return findings
    async with source.connection.transaction(isolation="repeatable_read", readonly=True):
        sampled = {table.name: await _sample(source, table) for table in model.sources}
        for table in model.tables:
            if table.sources:
                found = await _check_table(model, table, source, sampled)
                findings.problems += found.problems
                findings.notes += found.notes
    return findings


async def _sample(source: SourceConnection, table: SourceTable) -> SourceRows:
    """Some rows of a table; all rows of one that is captured by full refresh, because a build may join it."""
    limit = f" LIMIT {SAMPLE_ROWS}" if table.capture is Capture.INCREMENTAL else ""
    query = f"SELECT {column_list(table.column_names)} FROM {qualified(source.schema, table.name)}{limit}"
    return await _read(source.connection, query, table)


async def _read(connection: Connection, query: str, table: Table, *arguments: object) -> SourceRows:
    data = bytearray(csv_header(table.column_names))

    async def keep(chunk: bytes) -> None:
        data.extend(chunk)

    await connection.copy_from_query(query, *arguments, output=keep, format="csv")
    return await asyncio.to_thread(read_csv, bytes(data), table)


def _first_rows(rows: SourceRows) -> SourceRows:
    stand_in = None if rows.stand_in is None else rows.stand_in.head(SAMPLE_ROWS)
    return SourceRows(rows.frame.head(SAMPLE_ROWS), stand_in, rows.faults.filter(pl.col(ROW) < SAMPLE_ROWS))


async def _check_table(
    model: Model, table: WarehouseTable, source: SourceConnection, sampled: Mapping[str, SourceRows]
) -> Findings:
    """Build a sample of the table's rows, and compare it with the reference query."""
    first, *joined = table.sources
    rows, findings = _first_rows(sampled[first]), Findings()
    if not rows.frame.height:
        findings.notes.append(f"{table.name} was not built: {first} has no rows.")
        return findings
    sources = {first: rows, **{name: sampled[name] for name in joined}}
    try:
        built = await asyncio.to_thread(build, model, table, sources)
        await asyncio.to_thread(check_grain, model, table, sources)
    except ModelError as error:
        findings.problems.append(str(error))
        return findings
    if rejected := built.rejected.height:
        reasons = built.rejected[REASONS].explode().unique(maintain_order=True).to_list()[:_NAMED]
        findings.notes.append(
            f"{table.name} would quarantine {rejected:,} of {rows.frame.height:,} rows: {'; '.join(reasons)}."
        )
    own_names = dict(zip(model.source(first).key_names, table.key_names, strict=True))
    frame = rows.frame.select(list(own_names)).rename(own_names)
    try:
        expected = await _expected(table, source.connection, frame.drop_nulls())
    except asyncpg.PostgresError as error:
        findings.problems.append(f"The reference query of {table.name} fails: {plain(error)}. Correct the query.")
        return findings
    if rejected:
        without = frame[built.rejected[ROW]].with_columns(
            pl.col(name).cast(expected.schema[name]) for name in table.key_names
        )
        expected = expected.join(without, on=list(table.key_names), how="anti")
    findings.problems += differences(table, built.rows, expected)
    return findings


async def _expected(table: WarehouseTable, connection: Connection, keys: pl.DataFrame) -> pl.DataFrame:
    """What the reference query says of these keys."""
    arrays = ", ".join(f"${place}::text[]" for place in range(1, keys.width + 1))
    names = ", ".join(f"key_{place}" for place in range(keys.width))
    cast = ", ".join(f"key_{place}::{column.type.postgres}" for place, column in enumerate(table.key_columns))
    query = (
        f"SELECT {column_list(table.column_names)} FROM ({table.reference_query}) AS expected "
        f"WHERE ({key_list(table)}) IN (SELECT {cast} FROM unnest({arrays}) AS given ({names}))"
    )
    values = [[str(value) for value in column] for column in keys]
    return (await _read(connection, query, table, *values)).frame


def differences(table: WarehouseTable, built: pl.DataFrame, expected: pl.DataFrame) -> Iterator[str]:
    """A sentence for each way in which built rows differ from those of the reference query. Pure."""
    key, remedy = list(table.key_names), "Correct the query or the function."
    if (missing := built.join(expected, on=key, how="anti")).height:
        yield (
            f"The reference query of {table.name} lacks {missing.height:,} rows that the function builds, such as "
            f"{_shown(table, missing)}. {remedy}"
        )
    if (extra := expected.join(built, on=key, how="anti")).height:
        yield (
            f"The function that builds {table.name} leaves out {extra.height:,} rows of its reference query, such as "
            f"{_shown(table, extra)}. {remedy}"
        )
    both = built.join(expected, on=key, suffix=_EXPECTED, maintain_order="left")
    for name in table.column_names:
        if name in key:
            continue
        unequal = both.filter(~pl.col(name).eq_missing(pl.col(f"{name}{_EXPECTED}")))
        if unequal.height:
            row = unequal.row(0, named=True)
            yield (
                f"{table.name}.{name} differs from its reference query in {unequal.height:,} of {both.height:,} rows, "
                f"such as {_shown(table, unequal)}: {row[name]} is built, {row[name + _EXPECTED]} expected. {remedy}"
            )


def _shown(table: WarehouseTable, rows: pl.DataFrame) -> str:
    """The key of the first row."""
    first = rows.row(0, named=True)
    return ", ".join(f"{name} {first[name]}" for name in table.key_names)
