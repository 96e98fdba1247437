"""CSV to rows, rows to a fact, a fact to Parquet and back."""

import io
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from bench.stages.source import CsvPart
from bench.stages.step import Meter, Step, in_thread
from totesys.model import MODEL
from totesys.model.expressions import split_timestamps
from totesys.table import Fact, SourceTable
from totesys_load.parquet_parts import open_part
from totesys_transform.csv_reader import SourceRows, read_csv
from totesys_transform.parquet_writer import to_parquet
from totesys_transform.table_builder import build

Given = TypeVar("Given")
Made = TypeVar("Made")


async def csv_read(meter: Meter, table: SourceTable, parts: Sequence[CsvPart]) -> list[SourceRows]:
    """Measure the reading of CSV with the declared types."""
    bodies = [b"".join(part.chunks) for part in parts]
    await meter.measure(
        Step(
            name="CSV read",
            rows=sum(part.rows for part in parts),
            bytes=sum(part.bytes for part in parts),
            ours=in_thread(_each, lambda body: read_csv(body, table), bodies),
            limit="pyarrow, all text, no quotes",
            bare=in_thread(_each, lambda body: _read_text(body, table), bodies),
        )
    )
    return [read_csv(body, table) for body in bodies]


def _read_text(body: bytes, table: SourceTable) -> pa.Table:
    return pyarrow.csv.read_csv(
        pa.BufferReader(body),
        parse_options=pyarrow.csv.ParseOptions(quote_char=False),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(table.column_names, pa.string())),
    )


async def transform(meter: Meter, source: SourceTable, fact: Fact, parts: Sequence[SourceRows]) -> list[pl.DataFrame]:
    """Measure the building of a fact's rows; them, one frame a part."""

    def ours(rows: SourceRows) -> pl.DataFrame:
        return build(MODEL, fact, {source.name: rows}).rows

    frames = _each(ours, parts)
    await meter.measure(
        Step(
            name="transform",
            rows=sum(frame.height for frame in frames),
            bytes=int(sum(frame.estimated_size() for frame in frames)),
            ours=in_thread(_each, ours, parts),
            limit="the plain casts, unchecked",
            bare=in_thread(_each, lambda rows: _cast(rows.frame, fact), parts),
        )
    )
    return frames


def _cast(frame: pl.DataFrame, fact: Fact) -> pl.DataFrame:
    texts = [name for name, kind in frame.schema.items() if kind == pl.String and name in fact.column_names]
    dates = pl.col(texts).str.to_date("%Y-%m-%d")
    return frame.with_columns(*split_timestamps(), dates, sales_staff_id="staff_id").select(fact.column_names)


async def parquet_write(meter: Meter, fact: Fact, frames: Sequence[pl.DataFrame]) -> list[tuple[int, bytes]]:
    """Measure the writing of Parquet; each part's rows and bytes."""
    tables = [frame.to_arrow() for frame in frames]
    await meter.measure(
        Step(
            name="Parquet write",
            rows=sum(frame.height for frame in frames),
            bytes=sum(table.nbytes for table in tables),
            ours=in_thread(_each, lambda frame: to_parquet(frame, fact), frames),
            limit="pyarrow, uncompressed",
            bare=in_thread(_each, _write_plain, tables),
        )
    )
    return [(frame.height, to_parquet(frame, fact)) for frame in frames]


async def parquet_read(meter: Meter, fact: Fact, parts: Iterable[tuple[int, bytes]]) -> list[pa.Table]:
    """Measure the reading of Parquet; the rows, one table a part."""
    compressed = list(parts)

    def ours(part: tuple[int, bytes]) -> pa.Table:
        rows, body = part
        return pa.Table.from_batches(open_part(body, rows, fact, fact.name).batches())

    tables = _each(ours, compressed)
    plain = _each(_write_plain, tables)
    await meter.measure(
        Step(
            name="Parquet read",
            rows=sum(table.num_rows for table in tables),
            bytes=sum(table.nbytes for table in tables),
            ours=in_thread(_each, ours, compressed),
            limit="pyarrow, uncompressed",
            bare=in_thread(_each, _read_plain, plain),
        )
    )
    return tables


def _write_plain(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, compression="none", use_dictionary=False)
    return sink.getvalue()


def _read_plain(body: bytes) -> pa.Table:
    return pyarrow.parquet.ParquetFile(pa.BufferReader(body)).read()


def _each(work: Callable[[Given], Made], parts: Iterable[Given]) -> list[Made]:
    return [work(part) for part in parts]
