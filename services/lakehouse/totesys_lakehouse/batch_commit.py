"""Commits the rows of runs to the tables that they touch, each table once."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.parquet

from totesys.arrow import arrow_schema as declared_arrow_schema
from totesys.concurrency import prefetched
from totesys.lake.records import Part, ProcessedManifest, TableParts
from totesys.lake.store import Lake
from totesys.table import WarehouseTable
from totesys_lakehouse.deleted_keys import GoneKeys, deletion_rows, newly_deleted
from totesys_lakehouse.iceberg_schema import arrow_schema
from totesys_lakehouse.iceberg_store import IcebergStore
from totesys_lakehouse.known_rows import KnownRows
from totesys_lakehouse.lakehouse_tables import DELETION, DELETION_TABLE, LakehouseTable
from totesys_lakehouse.run_rows import rows_of_part

# Parts that are read ahead of the one being converted.
AHEAD = 8


@dataclass(frozen=True)
class BatchCommit:
    """Appends runs to the tables. Rows that a table already has, by its `last_run`, are not appended again."""

    lake: Lake
    store: IcebergStore
    known: KnownRows
    tables: Sequence[LakehouseTable]

    async def append(self, runs: Sequence[ProcessedManifest]) -> Counter[str]:
        """Append the rows of consecutive runs to each table that they touch; how many by table.

        Only the last run may delete keys. Raises CommitConflict if another writer was faster.
        """
        written = Counter[str]()
        for table in self.tables:
            if table.declared is not None:
                written[table.name] = await self.append_to(table, runs)
        written[DELETION] = await self.append_deletions(runs[-1])
        return +written

    async def append_to(
        self, table: LakehouseTable, runs: Sequence[ProcessedManifest], *, keep_repeats: bool = False
    ) -> int:
        """Append the rows of consecutive runs to one table; how many."""
        done = await asyncio.to_thread(self.store.last_run, table.name)
        new = [manifest for manifest in runs if manifest.run > done and table.name in manifest.tables]
        if not new:
            return 0
        rows = await self.rows(table, new)
        return await asyncio.to_thread(self._append_new, table, rows, runs[-1].run, keep_repeats)

    async def append_deletions(self, manifest: ProcessedManifest) -> int:
        """Record the keys that are gone in the run; how many. The tables must have its rows."""
        done = await asyncio.to_thread(self.store.last_run, DELETION)
        if manifest.run <= done:
            return 0
        found = []
        for table in self.tables:
            swept, left_out = manifest.keys.get(table.name), manifest.left_out.get(table.name)
            if swept or left_out:
                assert table.declared is not None
                of = table.declared
                gone = GoneKeys(of, await self._keys(of, swept), await self._keys(of, left_out))
                deleted = await asyncio.to_thread(newly_deleted, self.store, table, gone, manifest.run)
                self.known.end(table, deleted, manifest.run)
                found.append(deletion_rows(table, deleted, manifest))
        rows = pa.concat_tables([arrow_schema(DELETION_TABLE).empty_table(), *found])
        if rows.num_rows:
            await asyncio.to_thread(self.store.append, DELETION_TABLE, rows, manifest.run)
        return int(rows.num_rows)

    async def rows(self, table: LakehouseTable, runs: Iterable[ProcessedManifest]) -> pa.Table:
        """The rows that runs brought of a table, in run order."""
        reads = [
            partial(self._read_part, table, manifest, part)
            for manifest in runs
            if (built := manifest.tables.get(table.name))
            for part in built.parts
        ]
        async with aclosing(prefetched(reads, AHEAD)) as parts:
            return pa.concat_tables([arrow_schema(table).empty_table(), *[rows async for rows in parts]])

    def _append_new(self, table: LakehouseTable, rows: pa.Table, run: int, keep_repeats: bool) -> int:
        if keep_repeats or not table.drops_repeats:
            self.store.append(table, rows, run)
            return int(rows.num_rows)
        try:
            new = self.known.new_rows(table, rows)
            if new.num_rows:
                self.store.append(table, new, run)
        except BaseException:
            self.known.forget()
            raise
        self.known.committed(table)
        return int(new.num_rows)

    async def _read_part(self, table: LakehouseTable, manifest: ProcessedManifest, part: Part) -> pa.Table:
        body = await self.lake.processed.get_part(part)
        return await asyncio.to_thread(rows_of_part, body, table, manifest, self.lake.processed.where(part.key))

    async def _keys(self, table: WarehouseTable, parts: TableParts | None) -> pa.Table | None:
        if parts is None:
            return None
        bodies = [await self.lake.processed.get_part(part) for part in parts.parts]
        tables = [await asyncio.to_thread(pyarrow.parquet.read_table, pa.BufferReader(body)) for body in bodies]
        none = declared_arrow_schema(table.keys).empty_table()
        return pa.concat_tables([none, *(keys.select(none.column_names).cast(none.schema) for keys in tables)])
