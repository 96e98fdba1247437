"""Transforms one run: its CSV parts become Parquet parts and quarantine parts."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa

from totesys.concurrency import prefetched
from totesys.errors import CorruptObject
from totesys.frames import key_of, polars_type
from totesys.lake.keys import left_out_key, part_key, quarantine_key, ranges_key
from totesys.lake.quarantine_parts import without_value
from totesys.lake.records import REASONS, BuiltTable, Manifest, Part, ProcessedManifest, QuarantinedTable, TableParts
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.redaction import safe_message
from totesys.schema import Model
from totesys.table import Dimension, SourceTable, Table, WarehouseTable
from totesys_transform.csv_reader import ROW, SourceRows, concat, read_csv, read_text
from totesys_transform.parquet_writer import to_parquet, to_plain_parquet
from totesys_transform.table_builder import SAMPLE, Built, build, build_from_references, check_grain, key_list

log = logger("totesys.transform.run")

R = TypeVar("R")

# The fields that transform's record takes over from ingest's.
_COMMON_FIELDS = {
    *("lake", "run", "previous", "extraction", "complete", "snapshot_time"),
    *("trigger", "source", "xmin_after", "high_water_mark", "position", "checks_log"),
}


@dataclass
class _Output:
    """What was written of a table. `keys` holds the least and the greatest integer key of each part."""

    columns: tuple[str, ...]
    parts: list[Part] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def fields(self) -> dict[str, Any]:
        return {"columns": self.columns, "parts": tuple(self.parts), "seconds": round(self.seconds, 6)}


class RunTransform:
    """Transforms one run. Threads do the CPU work on one part while the bytes of the next arrive.

    A `replay` requires every declared source column, because its result replaces that of the first time. `checked` has,
    by table, the most rows on which this process has checked the grain.
    """

    def __init__(self, model: Model, lake: Lake, manifest: Manifest, checked: dict[str, int], *, replay: bool) -> None:
        self._checked = checked
        self._replay = replay
        self._model = model
        self._lake = lake
        self._manifest = manifest
        self._built: dict[str, _Output] = {}
        self._quarantined: dict[str, _Output] = {}
        self._left_out: dict[str, list[pl.DataFrame]] = defaultdict(list)
        self._referenced: dict[str, list[pl.Series]] = defaultdict(list)

    async def transform(self) -> ProcessedManifest:
        """Write every Parquet part of the run, and return the record that commits them.

        Raises CorruptObject, LakeUnavailable or ModelError.
        """
        started = time.monotonic()
        for table in self._buildable():
            await self._build(table)
        for dimension in self._model.dimensions:
            if not dimension.sources:
                await self._write_derived(dimension)
        keys = {table.name: await self._keys(table) for table in self._model.built_from_first(self._manifest.keys)}
        return ProcessedManifest(
            **self._manifest.model_dump(include=_COMMON_FIELDS),
            finished_at=datetime.now(UTC),
            seconds=round(time.monotonic() - started, 6),
            tables={
                name: BuiltTable(
                    **out.fields(), first_key=min(out.keys, default=None), last_key=max(out.keys, default=None)
                )
                for name, out in self._built.items()
                if out.parts
            },
            quarantine={
                name: QuarantinedTable(**out.fields(), reasons=out.reasons) for name, out in self._quarantined.items()
            },
            keys=keys,
            left_out={table.name: await self._put_left_out(table) for table in self._tables_with_left_out()},
        )

    def _buildable(self) -> Iterator[WarehouseTable]:
        for table in self._model.tables:
            if not table.sources or any(name not in self._manifest.tables for name in table.sources):
                continue
            if not self._replay and (missing := self._missing_columns(table)):
                log.warning(
                    LogEvent.TABLE_SKIPPED,
                    run=self._manifest.run,
                    table=table.name,
                    lacking=missing,
                    next="a full extraction follows if the columns are newly declared, and brings the rows",
                )
                continue
            yield table

    def _missing_columns(self, table: WarehouseTable) -> list[str]:
        """The source columns that were not declared when the run was extracted."""
        return [
            f"{name}.{column}"
            for name in table.sources
            for column in self._model.source(name).column_names
            if column not in self._manifest.tables[name].columns
        ]

    async def _build(self, table: WarehouseTable) -> None:
        """Build a table part by part of its first source. Memory holds two of these, and the joined tables."""
        started = time.monotonic()
        first, *others = (self._model.source(name) for name in table.sources)
        joined = {other.name: await self._every_row(other) for other in others}
        parts = self._manifest.tables[first.name].parts
        self._built.setdefault(table.name, _Output(table.column_names))
        async with aclosing(prefetched([partial(self._lake.ingest.get_part, part) for part in parts])) as bodies:
            for part in parts:
                await self._build_part(table, first, part, await anext(bodies), joined)
        self._built[table.name].seconds += time.monotonic() - started

    async def _every_row(self, source: SourceTable) -> SourceRows:
        parts = self._manifest.tables[source.name].parts
        return concat([await self._rows(source, part, await self._lake.ingest.get_part(part)) for part in parts])

    async def _read(self, source: Table, part: Part, body: bytes, read: Callable[[bytes, Table], R]) -> R:
        try:
            return await asyncio.to_thread(read, body, source)
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            where = self._lake.ingest.where(part.key)
            raise CorruptObject(
                f"{where} is not valid CSV of {source.name}: {safe_message(error)}. Restore it, or run the release "
                "that extracted it."
            ) from error

    async def _rows(self, source: Table, part: Part, body: bytes) -> SourceRows:
        rows = await self._read(source, part, body, read_csv)
        if rows.frame.height != part.rows:
            raise CorruptObject(
                f"{self._lake.ingest.where(part.key)} has {rows.frame.height} rows, but its manifest says {part.rows}. "
                "Restore the object."
            )
        return rows

    async def _build_part(
        self, table: WarehouseTable, first: SourceTable, part: Part, body: bytes, joined: Mapping[str, SourceRows]
    ) -> None:
        sources = {first.name: await self._rows(first, part, body), **joined}
        # Repeat the check for a part with twice as many rows: few rows may not reveal the fault.
        if part.rows > 1 and part.rows >= 2 * (checked := self._checked.get(table.name, 0)) and checked < SAMPLE:
            await asyncio.to_thread(check_grain, self._model, table, sources)
            self._checked[table.name] = part.rows
        built, parquet = await asyncio.to_thread(_build_and_encode, self._model, table, sources)
        if not built.rows.is_empty():
            await self._put_rows(table, built.rows, parquet)
        if not built.rejected.is_empty():
            await self._put_rejected(table, built.rejected, await self._read(first, part, body, read_text))
        if not built.left_out.is_empty():
            self._left_out[table.name].append(built.left_out)

    async def _put_rows(self, table: WarehouseTable, rows: pl.DataFrame, body: bytes) -> None:
        out = self._built.setdefault(table.name, _Output(table.column_names))
        key = part_key(self._schema(table), table.name, self._manifest.run, len(out.parts), "parquet")
        out.parts.append(await self._lake.processed.put_part(key, body, rows.height))
        if table.has_integer_key:
            out.keys += [rows[table.only_key].min(), rows[table.only_key].max()]  # type: ignore[list-item]
        for column in table.columns:
            if column.references and not self._model.table(column.references).sources:
                self._referenced[column.references].append(rows[column.name].unique())

    async def _put_rejected(self, table: WarehouseTable, rejected: pl.DataFrame, text: pl.DataFrame) -> None:
        rows = pl.concat([rejected.select(REASONS), text[rejected[ROW]]], how="horizontal")
        out = self._quarantined.setdefault(table.name, _Output(tuple(rows.columns)))
        key = quarantine_key(self._schema(table), table.name, self._manifest.run, len(out.parts))
        out.reasons.update(map(without_value, rejected[REASONS].explode()))
        body = await asyncio.to_thread(to_plain_parquet, rows)
        out.parts.append(await self._lake.processed.put_part(key, body, rows.height))

    async def _keys(self, table: WarehouseTable) -> TableParts:
        """The keys of the first source, written as those of the table built from it."""
        started = time.monotonic()
        source, out = self._model.source(table.sources[0]), _Output(table.keys.column_names)
        for number, part in enumerate(self._manifest.keys[source.name].parts):
            frame = (await self._rows(source.keys, part, await self._lake.ingest.get_part(part))).frame
            if not table.has_integer_key:
                frame = frame.select(key_of(source, table, table.key_names)).drop_nulls()
            key = ranges_key(self._schema(table), table.name, self._manifest.run, number, "parquet")
            body = await asyncio.to_thread(to_parquet, frame, table.keys)
            out.parts.append(await self._lake.processed.put_part(key, body, frame.height))
        out.seconds = time.monotonic() - started
        return TableParts(**out.fields())

    def _tables_with_left_out(self) -> Iterator[WarehouseTable]:
        deleted = self._model.built_from_first(self._manifest.deleted)
        return (table for table in self._model.tables if table.name in self._left_out or table in deleted)

    async def _put_left_out(self, table: WarehouseTable) -> TableParts:
        """Write the keys that the table's function leaves out, and those that ingest calls deleted."""
        out = _Output(table.keys.column_names)
        deleted = self._manifest.deleted.get(table.sources[0])
        frames = [
            (await self._rows(table.keys, part, await self._lake.ingest.get_part(part))).frame
            for part in (deleted.parts if deleted else ())
        ]
        if table.name in self._left_out:
            frames.append(key_list(table, pl.concat(self._left_out[table.name])))
        keys = pl.concat(frames).sort(table.keys.key_names)
        key = left_out_key(self._schema(table), table.name, self._manifest.run, 0)
        body = await asyncio.to_thread(to_parquet, keys, table.keys)
        out.parts.append(await self._lake.processed.put_part(key, body, keys.height))
        return TableParts(**out.fields())

    async def _write_derived(self, dimension: Dimension) -> None:
        """Write a dimension without sources, from the keys that the run's rows refer to."""
        started = time.monotonic()
        none = pl.Series("key", dtype=polars_type(dimension.key_columns[0].type))
        keys = pl.concat([none, *(column.alias("key") for column in self._referenced[dimension.name])])
        keys = keys.drop_nulls().unique().sort()
        rows = await asyncio.to_thread(build_from_references, dimension, keys, self._manifest.snapshot_time.date())
        await self._put_rows(dimension, rows, await asyncio.to_thread(to_parquet, rows, dimension))
        self._built[dimension.name].seconds += time.monotonic() - started

    def _schema(self, table: Table) -> str:
        return self._model.lake_schema(table)


def _build_and_encode(model: Model, table: WarehouseTable, sources: Mapping[str, SourceRows]) -> tuple[Built, bytes]:
    built = build(model, table, sources)
    return built, b"" if built.rows.is_empty() else to_parquet(built.rows, table)
