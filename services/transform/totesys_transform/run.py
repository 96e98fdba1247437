"""One run: its CSV parts become Parquet parts and quarantine parts."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import polars as pl
import pyarrow as pa

from totesys.concurrency import prefetched
from totesys.errors import CorruptObject
from totesys.frames import key_type
from totesys.lake.keys import part_key, quarantine_key, ranges_key
from totesys.lake.quarantine_parts import without_value
from totesys.lake.records import REASONS, BuiltTable, Manifest, Part, ProcessedManifest, QuarantinedTable, TableParts
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.redaction import safe_message
from totesys.schema import Model
from totesys.table import KEY_RANGES, Capture, Dimension, Table, WarehouseTable
from totesys_transform.build import Built, build, build_from_references
from totesys_transform.csv import ROW, Rows, concat, read_csv, read_text
from totesys_transform.parquet import to_parquet, to_plain_parquet

log = logger("totesys.transform.run")

R = TypeVar("R")

_HEAD = {
    *("lake", "run", "previous", "extraction", "complete", "snapshot_time"),
    *("trigger", "source", "xmin_after", "high_water_mark", "position"),
}


@dataclass
class _Output:
    """What was written of a table."""

    columns: tuple[str, ...]
    parts: list[Part] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


@dataclass(frozen=True)
class _Piece:
    """What is built at once: a part of a table captured as changes, or a snapshot with all that it is joined with."""

    table: WarehouseTable
    parts: Mapping[str, Sequence[Part]]


class RunTransform:
    """Transforms one run. CPU work is done in threads, on one piece at a time while the next one's bytes come.

    Done `again`, it has to be whole: what it makes takes the place of what was made before.
    """

    def __init__(self, model: Model, lake: Lake, manifest: Manifest, *, again: bool) -> None:
        self._again = again
        self._model = model
        self._lake = lake
        self._manifest = manifest
        self._built: dict[str, _Output] = {}
        self._quarantined: dict[str, _Output] = {}
        self._referenced: dict[str, list[pl.Series]] = defaultdict(list)

    async def transform(self) -> ProcessedManifest:
        """Write every Parquet part of the run; the record that commits them.

        Raises CorruptObject, LakeUnavailable or ModelError.
        """
        started = time.monotonic()
        pieces = list(self._pieces())
        async with aclosing(prefetched([partial(self._get, piece) for piece in pieces])) as bodies:
            for piece in pieces:
                await self._write(piece, await anext(bodies))
        for dimension in self._model.dimensions:
            if not dimension.sources:
                await self._derive(dimension)
        keys = {table.name: await self._ranges(table) for table in self._model.built_from_first(self._manifest.keys)}
        return ProcessedManifest(
            **self._manifest.model_dump(include=_HEAD),
            finished_at=datetime.now(UTC),
            seconds=round(time.monotonic() - started, 6),
            tables={
                name: BuiltTable(
                    columns=out.columns,
                    parts=tuple(out.parts),
                    seconds=round(out.seconds, 6),
                    first_key=min(out.keys, default=None),
                    last_key=max(out.keys, default=None),
                )
                for name, out in self._built.items()
                if out.parts
            },
            quarantine={
                name: QuarantinedTable(
                    columns=out.columns, parts=tuple(out.parts), seconds=round(out.seconds, 6), reasons=out.reasons
                )
                for name, out in self._quarantined.items()
            },
            keys=keys,
        )

    def _pieces(self) -> Iterator[_Piece]:
        for table in self._model.tables:
            if not table.sources or any(name not in self._manifest.tables for name in table.sources):
                continue
            if not self._again and (lacking := self._lacking(table)):
                then = "its rows come with the full extraction that follows where a column is declared since"
                log.warning(
                    LogEvent.TABLE_SKIPPED, run=self._manifest.run, table=table.name, lacking=lacking, next=then
                )
                continue
            parts = {name: self._manifest.tables[name].parts for name in table.sources}
            primary = self._model.source(table.sources[0])
            if primary.capture is Capture.FULL_REFRESH:
                yield _Piece(table, parts)
            else:
                yield from (_Piece(table, {primary.name: (part,)}) for part in parts[primary.name])

    def _lacking(self, table: WarehouseTable) -> list[str]:
        """The source columns that were not declared when the run was extracted."""
        return [
            f"{name}.{column}"
            for name in table.sources
            for column in self._model.source(name).column_names
            if column not in self._manifest.tables[name].columns
        ]

    async def _get(self, piece: _Piece) -> dict[str, bytes]:
        return {part.key: await self._lake.ingest.get_part(part) for parts in piece.parts.values() for part in parts}

    async def _read(self, source: Table, part: Part, body: bytes, read: Callable[[bytes, Table], R]) -> R:
        try:
            return await asyncio.to_thread(read, body, source)
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            raise CorruptObject(
                f"{self._lake.ingest.where(part.key)} is no CSV of {source.name}: {safe_message(error)}."
            ) from error

    async def _rows(self, source: Table, part: Part, body: bytes) -> Rows:
        rows = await self._read(source, part, body, read_csv)
        if rows.frame.height != part.rows:
            raise CorruptObject(
                f"{self._lake.ingest.where(part.key)} has {rows.frame.height} rows, its manifest says {part.rows}."
            )
        return rows

    async def _write(self, piece: _Piece, bodies: Mapping[str, bytes]) -> None:
        started = time.monotonic()
        table = piece.table
        sources = {
            name: concat([await self._rows(self._model.source(name), part, bodies[part.key]) for part in parts])
            for name, parts in piece.parts.items()
        }
        built, parquet = await asyncio.to_thread(_build_and_encode, self._model, table, sources)
        out = self._built.setdefault(table.name, _Output(table.column_names))
        if not built.rows.is_empty():
            await self._put_rows(table, built.rows, parquet)
        if not built.rejected.is_empty():
            source = self._model.source(table.sources[0])
            texts = [await self._read(source, part, bodies[part.key], read_text) for part in piece.parts[source.name]]
            await self._put_rejected(table, built.rejected, pl.concat(texts))
        out.seconds += time.monotonic() - started

    async def _put_rows(self, table: WarehouseTable, rows: pl.DataFrame, body: bytes) -> None:
        out = self._built.setdefault(table.name, _Output(table.column_names))
        key = part_key(self._schema(table), table.name, self._manifest.run, len(out.parts), "parquet")
        out.parts.append(await self._lake.processed.put_part(key, body, rows.height))
        if table.column(table.key).type.is_integer:
            out.keys += [rows[table.key].min(), rows[table.key].max()]  # type: ignore[list-item]
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

    async def _ranges(self, table: WarehouseTable) -> TableParts:
        """The keys that the first source has, as those of the table that is built of it."""
        started = time.monotonic()
        parts: list[Part] = []
        for number, part in enumerate(self._manifest.keys[table.sources[0]].parts):
            rows = await self._rows(KEY_RANGES, part, await self._lake.ingest.get_part(part))
            key = ranges_key(self._schema(table), table.name, self._manifest.run, number, "parquet")
            body = await asyncio.to_thread(to_parquet, rows.frame, KEY_RANGES)
            parts.append(await self._lake.processed.put_part(key, body, rows.frame.height))
        seconds = round(time.monotonic() - started, 6)
        return TableParts(columns=KEY_RANGES.column_names, parts=tuple(parts), seconds=seconds)

    async def _derive(self, dimension: Dimension) -> None:
        started = time.monotonic()
        none = pl.Series("key", dtype=key_type(dimension))
        keys = pl.concat([none, *(column.alias("key") for column in self._referenced[dimension.name])])
        keys = keys.drop_nulls().unique().sort()
        rows = await asyncio.to_thread(build_from_references, dimension, keys, self._manifest.snapshot_time.date())
        await self._put_rows(dimension, rows, await asyncio.to_thread(to_parquet, rows, dimension))
        self._built[dimension.name].seconds += time.monotonic() - started

    def _schema(self, table: Table) -> str:
        return self._model.lake_schema(table)


def _build_and_encode(model: Model, table: WarehouseTable, sources: Mapping[str, Rows]) -> tuple[Built, bytes]:
    built = build(model, table, sources)
    return built, b"" if built.rows.is_empty() else to_parquet(built.rows, table)
