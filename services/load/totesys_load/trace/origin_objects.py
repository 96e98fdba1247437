"""Finds the lake objects that hold a row, by reading them: parts are small, and one is in memory at a time."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from totesys.arrow import key_texts
from totesys.errors import CorruptObject
from totesys.lake.bucket import Bucket
from totesys.lake.keys import QUARANTINE
from totesys.lake.quarantine_parts import quarantine_parts
from totesys.lake.records import REASONS, Manifest, Part, ProcessedManifest
from totesys.lake.store import Lake
from totesys.schema import Model
from totesys.table import WarehouseTable
from totesys_load.trace.origin_models import QuarantineEntry

# The most quarantine parts that a trace reads, newest first.
_QUARANTINE_PARTS = 50

# Reads columns of a part.
_Read = Callable[[bytes, list[str]], pa.Table]


@dataclass(frozen=True)
class OriginObjects:
    """The objects that may hold a row, which is given by its table and its key as text."""

    lake: Lake
    model: Model
    table: WarehouseTable
    key: str

    async def parquet(self, manifest: ProcessedManifest) -> str | None:
        """The key of the run's Parquet part that has the row."""
        built = manifest.tables.get(self.table.name)
        return await self._first(self.lake.processed, built.parts if built else (), _from_parquet, self.table.key_names)

    async def csv(self, manifest: Manifest) -> list[str]:
        """The keys of the CSV parts that the row was built from: the one that has it, and those of joined tables."""
        if not self.table.sources:
            return []
        name, *joined = self.table.sources
        extracted = manifest.tables.get(name)
        key = self.model.source(name).key_names
        first = await self._first(self.lake.ingest, extracted.parts if extracted else (), _from_csv, key)
        others = [part.key for other in joined if other in manifest.tables for part in manifest.tables[other].parts]
        return [first, *others] if first else []

    async def quarantined(self) -> list[QuarantineEntry]:
        """The quarantined rows with the key, newest run first."""
        prefix = f"{QUARANTINE}{self.model.lake_schema(self.table)}/{self.table.name}/"
        found: list[QuarantineEntry] = []
        read = 0
        async with aclosing(quarantine_parts(self.lake, prefix)) as parts:
            async for part in parts:
                own = part.by_load or not self.table.sources
                key = (self.table if own else self.model.source(self.table.sources[0])).key_names
                body = await self.lake.processed.get(part.key)
                for row in await asyncio.to_thread(_rows_with, body or b"", key, self.key):
                    reasons = row.pop(REASONS)
                    found.append(QuarantineEntry(run=part.run, object=part.key, reasons=reasons, values=row))
                read += 1
                if read == _QUARANTINE_PARTS:
                    break
        return found

    async def _first(
        self,
        bucket: Bucket,
        parts: Sequence[Part],
        read: _Read,
        columns: Sequence[str],
    ) -> str | None:
        for part in parts:
            try:
                body = await bucket.get_part(part)
            except CorruptObject:
                # The object is gone, or not the one that the row was made from.
                continue
            if await asyncio.to_thread(_holds, read, body, columns, self.key):
                return part.key
        return None


def _holds(read: _Read, body: bytes, columns: Sequence[str], key: str) -> bool:
    return bool(pc.any(_have_key(read(body, list(columns)), columns, key)).as_py())


def _have_key(rows: pa.Table, columns: Sequence[str], key: str) -> pa.ChunkedArray:
    """Whether the key of each row, in these columns, has this text."""
    return pc.equal(key_texts([rows[name] for name in columns]), key)


def _from_parquet(body: bytes, columns: list[str]) -> pa.Table:
    return pyarrow.parquet.read_table(pa.BufferReader(body), columns=columns)


def _from_csv(body: bytes, columns: list[str]) -> pa.Table:
    return pyarrow.csv.read_csv(
        pa.BufferReader(body),
        read_options=pyarrow.csv.ReadOptions(block_size=max(len(body), 1)),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
        ),
    )


def _rows_with(body: bytes, columns: Sequence[str], key: str) -> list[dict[str, Any]]:
    try:
        rows = pyarrow.parquet.read_table(pa.BufferReader(body))
    except pa.ArrowInvalid:
        return []
    found: list[dict[str, Any]] = rows.filter(_have_key(rows, columns, key)).to_pylist()
    return found
