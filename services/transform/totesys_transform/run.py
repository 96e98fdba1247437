"""One run: its CSV parts become Parquet parts and quarantine parts."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zlib import crc32

import polars as pl
import pyarrow as pa
from totesys.errors import CorruptObject
from totesys.lake.keys import part_key, quarantine_key
from totesys.lake.lake import Lake
from totesys.lake.records import REASONS, BuiltTable, Manifest, Part, ProcessedManifest, TableParts
from totesys.schema import Model
from totesys.table import Capture, Dimension, Table, WarehouseTable

from totesys_transform.build import Built, build, build_from_references
from totesys_transform.csv import read_csv
from totesys_transform.parquet import to_parquet, to_plain_parquet


@dataclass
class _Output:
    """What was written of a table."""

    columns: tuple[str, ...]
    parts: list[Part] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    seconds: float = 0.0


class RunTransform:
    """Transforms one run. CPU work is done in threads; one part at a time is held in memory."""

    def __init__(self, model: Model, lake: Lake, manifest: Manifest) -> None:
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
        for table in self._model.tables:
            if table.sources and all(name in self._manifest.tables for name in table.sources):
                await self._transform_table(table)
        for dimension in self._model.dimensions:
            if not dimension.sources:
                await self._derive(dimension)
        return ProcessedManifest(
            **self._manifest.model_dump(include={"lake", "run", "previous", "extraction", "complete", "snapshot_time"}),
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
                name: TableParts(columns=out.columns, parts=tuple(out.parts), seconds=round(out.seconds, 6))
                for name, out in self._quarantined.items()
            },
        )

    async def _transform_table(self, table: WarehouseTable) -> None:
        primary = self._model.source(table.sources[0])
        if primary.capture is Capture.SNAPSHOT:
            frames = {name: await self._whole(name) for name in table.sources}
            await self._write(table, frames, primary.key)
            return
        for part in self._manifest.tables[primary.name].parts:
            await self._write(table, {primary.name: await self._read(primary.name, part)}, primary.key)

    async def _whole(self, source: str) -> pl.DataFrame:
        return pl.concat([await self._read(source, part) for part in self._manifest.tables[source].parts])

    async def _read(self, source: str, part: Part) -> pl.DataFrame:
        data = await self._lake.ingest.get_part(part)
        try:
            frame = await asyncio.to_thread(read_csv, data, self._model.source(source))
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            raise CorruptObject(f"{self._lake.ingest.where(part.key)} is no CSV of {source}: {error}.") from error
        if frame.height != part.rows:
            raise CorruptObject(
                f"{self._lake.ingest.where(part.key)} has {frame.height} rows, its manifest says {part.rows}."
            )
        return frame

    async def _write(self, table: WarehouseTable, frames: Mapping[str, pl.DataFrame], source_key: str) -> None:
        started = time.monotonic()
        built, body = await asyncio.to_thread(_build_and_encode, table, frames, source_key)
        out = self._built.setdefault(table.name, _Output(table.column_names))
        if not built.rows.is_empty():
            await self._put_rows(table, built.rows, body)
        if not built.rejected.is_empty():
            await self._put_rejected(table, built.rejected, frames[table.sources[0]], source_key)
        out.seconds += time.monotonic() - started

    async def _put_rows(self, table: WarehouseTable, rows: pl.DataFrame, body: bytes) -> None:
        out = self._built.setdefault(table.name, _Output(table.column_names))
        key = part_key(self._schema(table), table.name, self._manifest.run, len(out.parts), "parquet")
        out.parts.append(await self._put(key, rows.height, body))
        if table.polars_schema[table.key].is_integer():
            out.keys += [rows[table.key].min(), rows[table.key].max()]  # type: ignore[list-item]
        for column in table.columns:
            if column.references and not self._model.table(column.references).sources:
                self._referenced[column.references].append(rows[column.name].unique())

    async def _put_rejected(
        self, table: WarehouseTable, rejected: pl.DataFrame, source: pl.DataFrame, source_key: str
    ) -> None:
        rows = rejected.join(source, left_on="key", right_on=source_key, how="left", coalesce=False)
        text = rows.select(REASONS, pl.all().exclude("key", REASONS).cast(pl.String))
        out = self._quarantined.setdefault(table.name, _Output(tuple(text.columns)))
        key = quarantine_key(self._schema(table), table.name, self._manifest.run, len(out.parts))
        out.parts.append(await self._put(key, text.height, await asyncio.to_thread(to_plain_parquet, text)))

    async def _derive(self, dimension: Dimension) -> None:
        started = time.monotonic()
        none = pl.Series("key", dtype=dimension.polars_schema[dimension.key])
        keys = pl.concat([none, *(column.alias("key") for column in self._referenced[dimension.name])])
        keys = keys.drop_nulls().unique().sort()
        rows = await asyncio.to_thread(build_from_references, dimension, keys, self._manifest.snapshot_time.date())
        await self._put_rows(dimension, rows, await asyncio.to_thread(to_parquet, rows, dimension))
        self._built[dimension.name].seconds += time.monotonic() - started

    async def _put(self, key: str, rows: int, body: bytes) -> Part:
        await self._lake.processed.put(key, body)
        return Part(key=key, rows=rows, bytes=len(body), crc32=f"{crc32(body):08x}")

    def _schema(self, table: Table) -> str:
        return self._model.lake_schema(table)


def _build_and_encode(
    table: WarehouseTable, frames: Mapping[str, pl.DataFrame], source_key: str
) -> tuple[Built, bytes]:
    built = build(table, frames, source_key)
    return built, b"" if built.rows.is_empty() else to_parquet(built.rows, table)
