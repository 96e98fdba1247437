"""Fact rows whose dimension row is not there yet: taken out of the fact, kept, and placed when it arrives."""

import io
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from totesys.lake.records import REASONS, ProcessedManifest
from totesys.postgres import Connection
from totesys.schema import ETL, Model
from totesys.sql import column_list, ident, literal
from totesys.table import Column, Dimension, Fact
from totesys_load.parquet_copy import TEMPORARY, copy_rows
from totesys_load.warehouse_connection import WarehouseConnection

REFERENCED = "referenced"
# Keys are compared by counting if they are no further apart than this: otherwise the count would read too many rows.
_SPREAD = 4


@dataclass(frozen=True)
class UnresolvedRow:
    """A version that was taken out of a fact: its version id, its values as text, and the unresolved references."""

    version_id: int
    values: Mapping[str, str | None]
    reasons: Sequence[str]


def _references(model: Model, fact: Fact) -> list[tuple[str, Dimension]]:
    """The fact's columns that refer to a dimension with sources. A dimension without sources has every key anyway."""
    pairs = [(column.name, model.table(column.references)) for column in fact.columns if column.references]
    return [(name, table) for name, table in pairs if isinstance(table, Dimension) and table.sources]


@dataclass
class ReferencedKeys:
    """The distinct keys that a fact's rows in a run refer to, by dimension."""

    warehouse: WarehouseConnection
    model: Model
    fact: Fact
    _keys: dict[str, list[pa.Array]] = field(default_factory=lambda: defaultdict(list))

    def add(self, rows: pa.Table) -> None:
        """Collect the keys of more rows."""
        for column, dimension in _references(self.model, self.fact):
            self._keys[dimension.name].append(pyarrow.compute.unique(rows[column]))

    async def take_unresolved(self, relation: str, first: int) -> list[UnresolvedRow]:
        """Delete the rows with unresolved references from a relation, and return them.

        `relation` is the fact, or the table of what will be inserted into it. Only version ids from `first` count.
        """
        taken: list[UnresolvedRow] = []
        for column, dimension in _references(self.model, self.fact):
            arrays = self._keys.get(dimension.name)
            if arrays and (unknown := await self._unknown_keys(dimension, arrays)):
                taken += await self._take(relation, column, dimension, unknown, first)
        return taken

    async def _take(
        self, relation: str, column: str, dimension: Dimension, keys: list[object], first: int
    ) -> list[UnresolvedRow]:
        texts = ", ".join(f"{ident(name)}::text" for name in self.fact.column_names)
        rows = await self.warehouse.connection.fetch(
            f"DELETE FROM {relation} WHERE {ident(self.fact.record_id)} >= $1 AND {ident(column)} = ANY ($2) "
            f"RETURNING {ident(self.fact.record_id)}, {texts}",
            first,
            keys,
        )
        reasons = [f"{column} is not in {dimension.name}"]
        return [UnresolvedRow(row[0], {name: row[name] for name in self.fact.column_names}, reasons) for row in rows]

    async def _unknown_keys(self, dimension: Dimension, arrays: Sequence[pa.Array]) -> list[object]:
        keys = pyarrow.compute.unique(pa.chunked_array(arrays))
        if pa.types.is_integer(keys.type) and await self._has_all_between(dimension, keys):
            return []
        connection, key = self.warehouse.connection, ident(dimension.key)
        target = self.warehouse.relation(dimension)
        await connection.execute(
            f"CREATE TEMPORARY TABLE {REFERENCED} ON COMMIT DROP AS "
            f"SELECT CAST({key} AS {dimension.column(dimension.key).type.postgres}) AS key FROM {target} WITH NO DATA"
        )
        await copy_rows(connection, TEMPORARY, REFERENCED, pa.table({"key": keys}))
        await connection.execute(f"ANALYZE pg_temp.{REFERENCED}")
        rows = await connection.fetch(
            f"SELECT r.key FROM pg_temp.{REFERENCED} AS r "
            f"WHERE NOT EXISTS (SELECT FROM {target} AS d WHERE d.{key} = r.key)"
        )
        await connection.execute(f"DROP TABLE pg_temp.{REFERENCED}")
        return [row["key"] for row in rows]

    async def _has_all_between(self, dimension: Dimension, keys: pa.Array) -> bool:
        """Whether the dimension has every number from the least to the greatest key. Counting beats lookups."""
        span = pyarrow.compute.min_max(keys).as_py()
        first, last = span["min"], span["max"]
        if first is None or last - first >= _SPREAD * len(keys):
            return False
        query = (
            f"SELECT count(*) FROM {self.warehouse.relation(dimension)} WHERE {ident(dimension.key)} BETWEEN $1 AND $2"
        )
        return bool(await self.warehouse.connection.fetchval(query, first, last) == last - first + 1)


def unresolved_parquet(fact: Fact, rows: Sequence[UnresolvedRow]) -> bytes:
    """Unresolved rows as a quarantine part: the reasons, and every column as text."""
    columns = [pa.field(name, pa.string()) for name in fact.column_names]
    schema = pa.schema([pa.field(REASONS, pa.list_(pa.string())), *columns])
    sink = io.BytesIO()
    table = pa.Table.from_pylist([{REASONS: row.reasons, **row.values} for row in rows], schema)
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()


async def keep_unresolved(
    connection: Connection, fact: Fact, manifest: ProcessedManifest, rows: Sequence[UnresolvedRow]
) -> None:
    """Keep a run's unresolved rows in the ledger."""
    await connection.executemany(
        f"INSERT INTO {ETL}.orphan (table_name, record_id, id, lake, run, reasons, row) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            (
                fact.name,
                row.version_id,
                int(row.values[fact.key] or 0),
                manifest.lake,
                manifest.run,
                list(row.reasons),
                json.dumps(row.values),
            )
            for row in rows
        ],
    )


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
    resolved = "".join(
        f" AND (row->>{literal(name)} IS NULL OR EXISTS (SELECT FROM {warehouse.relation(dimension)} AS d "
        f"WHERE d.{ident(dimension.key)} = {_value(fact.column(name))}))"
        for name, dimension in _references(model, fact)
    )
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


def _value(column: Column) -> str:
    return f"CAST(row->>{literal(column.name)} AS {column.type.postgres})"
