"""Compares the warehouse's current state with what the source says that it should be."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from totesys.concurrent import both
from totesys.errors import SchemaDrift, WarehouseMismatch
from totesys.schema import Model
from totesys.sql import ident
from totesys.table import WarehouseTable
from totesys_cli.verify import queries
from totesys_cli.verify.comparison import TableComparison, compare
from totesys_cli.verify.side import Side

KEYS_AT_ONCE = 200_000
LEAST_KEY = -(2**63)


async def verify(
    source_dsn: str,
    warehouse_dsn: str,
    model: Model,
    *,
    source_schema: str = "public",
    warehouse_schema: str = "warehouse",
    tables: Sequence[WarehouseTable] | None = None,
) -> tuple[TableComparison, ...]:
    """Compare every row and column of every warehouse table, or only of `tables`, with its oracle over the source.

    Each database is read as it is at one moment. Raises SchemaDrift or WarehouseMismatch if a table or a column
    is not there; DatabaseUnavailable, AccessDenied or SettingsError if a database cannot be read.
    """
    async with (
        Side.open("The source", source_dsn, SchemaDrift, search_path=ident(source_schema)) as source,
        Side.open("The warehouse", warehouse_dsn, WarehouseMismatch) as warehouse,
    ):
        verification = _Verification(model, source, warehouse, warehouse_schema)
        return tuple([await verification.of(table) for table in (model.tables if tables is None else tables)])


@dataclass(frozen=True)
class _Verification:
    model: Model
    source: Side
    warehouse: Side
    schema: str

    async def of(self, table: WarehouseTable) -> TableComparison:
        """Compare a table, in windows of keys where these are integers, so that memory is bounded."""
        if not table.column(table.key).type.is_integer:
            return await self._compare(table)
        total = TableComparison(table.name)
        first = await self._next_key(table, LEAST_KEY)
        while first is not None:
            last = first + KEYS_AT_ONCE - 1
            total += await self._compare(table, (first, last))
            first = await self._next_key(table, last + 1)
        return total

    async def _next_key(self, table: WarehouseTable, start: int) -> int | None:
        """The least key from `start` on that either side has."""
        expected, found = await both(
            self.source.values(queries.next_expected_key(self.model, table), start),
            self.warehouse.values(queries.next_found_key(table, self.schema), start),
        )
        return min([*expected, *found], default=None)

    async def _compare(self, table: WarehouseTable, keys: tuple[int, int] | None = None) -> TableComparison:
        columns, window = table.column_names, keys is not None
        expected, found = await both(
            self.source.texts(columns, queries.expected_rows(self.model, table, window), *keys or ()),
            self.warehouse.texts(columns, queries.found_rows(table, self.schema, window), *keys or ()),
        )
        if not table.sources:
            found = await self._without_older_references(table, expected, found)
        return await asyncio.to_thread(compare, table, expected, found)

    async def _without_older_references(
        self, table: WarehouseTable, expected: pl.DataFrame, found: pl.DataFrame
    ) -> pl.DataFrame:
        """Leave out what is there because an older version of a fact refers to it: that is as it should be."""
        more = found.join(expected, on=table.key, how="anti")[table.key].to_list()
        query = queries.referenced_keys(self.model, table, self.schema)
        referenced = await self.warehouse.values(query, more) if more and query else []
        return found.filter(~pl.col(table.key).is_in(referenced))
