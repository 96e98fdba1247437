"""Fact rows whose dimension row is not there yet: taken out of the fact, kept, and placed when it arrives."""

import io
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from totesys.connection import Connection
from totesys.lake.records import REASONS, ProcessedManifest
from totesys.schema import ETL, Model, Reference
from totesys.sql import column_list, ident, literal
from totesys.sql_keys import key_list, key_number, same_key
from totesys.table import Column, Dimension, Fact
from totesys_load.parquet_copy import TEMPORARY, copy_rows
from totesys_load.warehouse_connection import WarehouseConnection

REFERENCED = "referenced"
UNKNOWN = "unknown"
# Keys are compared by counting if they are no further apart than this: otherwise the count would read too many rows.
_SPREAD = 4
# The texts of a row group of unresolved rows.
_GROUP_BYTES = 8 * 1024 * 1024


@dataclass
class ReferencedKeys:
    """The distinct keys that a fact's rows in a run refer to, by dimension."""

    warehouse: WarehouseConnection
    model: Model
    fact: Fact
    _keys: dict[str, list[pa.Table]] = field(default_factory=lambda: defaultdict(list))

    def add(self, rows: pa.RecordBatch) -> None:
        """Collect the keys of more rows."""
        for reference in self.model.references(self.fact):
            keys = pa.table([rows[name] for name in reference.columns], list(reference.dimension.key_names))
            self._keys[reference.dimension.name].append(_distinct(keys))

    async def take_unresolved(self, relation: str, first: int, manifest: ProcessedManifest) -> int:
        """Move the run's rows with unresolved references from a relation to the ledger. Returns the number of rows.

        `relation` is the fact, or the table of what will be inserted into it. Only version ids from `first` count. The
        server moves the rows by itself: they may be most of a run.
        """
        taken = 0
        for reference in self.model.references(self.fact):
            keys = self._keys.get(reference.dimension.name)
            if keys and await self._find_unknown_keys(reference.dimension, keys):
                taken += await self._take(relation, first, manifest, reference)
                await self.warehouse.connection.execute(f"DROP TABLE pg_temp.{UNKNOWN}")
        return taken

    async def _take(self, relation: str, first: int, manifest: ProcessedManifest, reference: Reference) -> int:
        fact = self.fact
        names = ", ".join(map(literal, fact.column_names))
        texts = ", ".join(f"t.{ident(name)}::text" for name in fact.column_names)
        refers = same_key(reference.dimension, "u", "v", reference.columns)
        return await self.warehouse.write(
            f"WITH taken AS (DELETE FROM {relation} AS v USING pg_temp.{UNKNOWN} AS u "
            f"WHERE v.{ident(fact.record_id)} >= $1 AND {refers} RETURNING v.*) "
            f"INSERT INTO {ETL}.orphan (table_name, record_id, id, lake, run, reasons, row) "
            f"SELECT $2, t.{ident(fact.record_id)}, {key_number(fact, 't')}, $3, $4, $5, "
            f"jsonb_object(ARRAY[{names}], ARRAY[{texts}]) FROM taken AS t",
            first,
            fact.name,
            manifest.lake,
            manifest.run,
            [f"{', '.join(reference.columns)} is not in {reference.dimension.name}"],
        )

    async def _find_unknown_keys(self, dimension: Dimension, several: Sequence[pa.Table]) -> bool:
        """Put the keys that the dimension lacks into a temporary table. Without any, there is no table."""
        # In order, so that the lookup visits each page of the index once.
        keys = _distinct(pa.concat_tables(several))
        keys = keys.sort_by([(name, "ascending") for name in keys.column_names])
        if dimension.has_integer_key and await self._has_all_between(dimension, keys[dimension.only_key]):
            return False
        connection, target = self.warehouse.connection, self.warehouse.relation(dimension)
        columns = ", ".join(f"CAST({ident(column.name)} AS {column.type.postgres}) AS {ident(column.name)}"
                            for column in dimension.key_columns)  # fmt: skip
        await connection.execute(
            f"CREATE TEMPORARY TABLE {REFERENCED} ON COMMIT DROP AS SELECT {columns} FROM {target} WITH NO DATA"
        )
        await copy_rows(connection, TEMPORARY, REFERENCED, keys, dimension.key_columns)
        await connection.execute(f"ANALYZE pg_temp.{REFERENCED}")
        unknown = await self.warehouse.write(
            f"CREATE TEMPORARY TABLE {UNKNOWN} ON COMMIT DROP AS SELECT r.* FROM pg_temp.{REFERENCED} AS r "
            f"WHERE NOT EXISTS (SELECT FROM {target} AS d WHERE {same_key(dimension, 'd', 'r')})"
        )
        await connection.execute(f"DROP TABLE pg_temp.{REFERENCED}" + ("" if unknown else f", pg_temp.{UNKNOWN}"))
        return unknown > 0

    async def _has_all_between(self, dimension: Dimension, keys: pa.ChunkedArray) -> bool:
        """Whether the dimension has every number from the least to the greatest key. Counting beats lookups."""
        span = pyarrow.compute.min_max(keys).as_py()
        first, last = span["min"], span["max"]
        if first is None or last - first >= _SPREAD * len(keys):
            return False
        query = (
            f"SELECT count(*) FROM {self.warehouse.relation(dimension)} WHERE {key_list(dimension)} BETWEEN $1 AND $2"
        )
        return bool(await self.warehouse.connection.fetchval(query, first, last) == last - first + 1)


async def unresolved_parquet(connection: Connection, fact: Fact, manifest: ProcessedManifest) -> bytes:
    """The run's unresolved rows as a quarantine part: the reasons, and every column as text.

    One row group of them is in memory at a time.
    """
    columns = [pa.field(name, pa.string()) for name in fact.column_names]
    schema = pa.schema([pa.field(REASONS, pa.list_(pa.string())), *columns])
    query = f"SELECT reasons, row FROM {ETL}.orphan WHERE table_name = $1 AND lake = $2 AND run = $3 ORDER BY record_id"
    sink, size, rows = io.BytesIO(), 0, list[dict[str, Any]]()
    with pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        async for found in connection.cursor(query, fact.name, manifest.lake, manifest.run):
            rows.append({REASONS: found["reasons"], **json.loads(found["row"])})
            size += len(found["row"])
            if size >= _GROUP_BYTES:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                size, rows = 0, []
        writer.write_table(pa.Table.from_pylist(rows, schema))
    return sink.getvalue()


async def delete_unresolved(connection: Connection, fact: Fact, manifest: ProcessedManifest) -> None:
    """Delete the run's unresolved rows of a fact, whose versions are about to be written again."""
    query = f"DELETE FROM {ETL}.orphan WHERE table_name = $1 AND lake = $2 AND run = $3"
    await connection.execute(query, fact.name, manifest.lake, manifest.run)


async def place_resolved(warehouse: WarehouseConnection, model: Model) -> dict[str, int]:
    """Write every kept row whose dimension rows have all arrived, with its own version id. Returns rows by fact."""
    waiting = {row[0] for row in await warehouse.connection.fetch(f"SELECT DISTINCT table_name FROM {ETL}.orphan")}
    facts = [fact for fact in model.facts if fact.name in waiting]
    return {fact.name: rows for fact in facts if (rows := await _place(warehouse, model, fact))}


async def _place(warehouse: WarehouseConnection, model: Model, fact: Fact) -> int:
    resolved = "".join(f" AND {_is_resolved(warehouse, fact, reference)}" for reference in model.references(fact))
    values = ", ".join(_value(column) for column in fact.columns)
    return await warehouse.write(
        f"WITH placed AS (DELETE FROM {ETL}.orphan WHERE table_name = $1{resolved} RETURNING *), "
        "number AS (SELECT lake, run, count(*) AS rows FROM placed GROUP BY lake, run), "
        f"tables AS (UPDATE {ETL}.run_table AS t SET rows_written = t.rows_written + n.rows, "
        "rows_quarantined = t.rows_quarantined - n.rows FROM number AS n "
        "WHERE t.lake = n.lake AND t.run = n.run AND t.table_name = $1), "
        f"runs AS (UPDATE {ETL}.run AS r SET rows_written = r.rows_written + n.rows FROM number AS n "
        "WHERE r.lake = n.lake AND r.run = n.run) "
        f"INSERT INTO {warehouse.relation(fact)} ({ident(fact.record_id)}, {column_list(fact.column_names)}) "
        f"OVERRIDING SYSTEM VALUE SELECT record_id, {values} FROM placed",
        fact.name,
    )


def _is_resolved(warehouse: WarehouseConnection, fact: Fact, reference: Reference) -> str:
    """SQL that is true of a waiting row that refers to nothing, or to a row that the dimension has."""
    dimension = reference.dimension
    unset = " OR ".join(f"row->>{literal(name)} IS NULL" for name in reference.columns)
    same = " AND ".join(f"d.{ident(key)} = {_value(fact.column(name))}"
                        for key, name in zip(dimension.key_names, reference.columns, strict=True))  # fmt: skip
    return f"({unset} OR EXISTS (SELECT FROM {warehouse.relation(dimension)} AS d WHERE {same}))"


def _distinct(keys: pa.Table) -> pa.Table:
    """The distinct keys that are complete: one with a NULL refers to nothing."""
    return keys.group_by(keys.column_names).aggregate([]).drop_null()


def _value(column: Column) -> str:
    return f"CAST(row->>{literal(column.name)} AS {column.type.postgres})"
