"""CSV to rows, rows to a fact, a fact to Parquet and back."""

import io
from collections.abc import Sequence

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from bench.steps.database_steps import CsvPart
from bench.steps.meter import Amount, Meter, in_thread
from totesys.model import MODEL
from totesys.model.expressions import split_timestamps
from totesys.table import Fact, SourceTable
from totesys_load.parquet_parts import open_part
from totesys_transform.csv_reader import SourceRows, read_csv
from totesys_transform.parquet_writer import to_parquet
from totesys_transform.table_builder import build

# The rows of a part, and its Parquet.
ParquetPart = tuple[int, bytes]


async def csv_read(meter: Meter, table: SourceTable, parts: Sequence[CsvPart]) -> list[SourceRows]:
    """Measure reading CSV with the declared types; the rows of each part."""
    bodies = [b"".join(part.chunks) for part in parts]
    amount = Amount(sum(part.rows for part in parts), sum(map(len, bodies)))

    def ours(body: bytes) -> SourceRows:
        return read_csv(body, table)

    def as_text(body: bytes) -> pa.Table:
        return pyarrow.csv.read_csv(
            pa.BufferReader(body),
            parse_options=pyarrow.csv.ParseOptions(quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(table.column_names, pa.string())),
        )

    limit = "pyarrow, all text, no quotes"
    await meter.measure("CSV read", amount, in_thread(ours, bodies), limit, in_thread(as_text, bodies))
    return [*map(ours, bodies)]


async def transform(meter: Meter, source: SourceTable, fact: Fact, parts: Sequence[SourceRows]) -> list[pl.DataFrame]:
    """Measure building a fact's rows; one frame per part."""

    def ours(rows: SourceRows) -> pl.DataFrame:
        return build(MODEL, fact, {source.name: rows}).rows

    def cast(rows: SourceRows) -> pl.DataFrame:
        schema = rows.frame.schema.items()
        texts = [name for name, kind in schema if kind == pl.String and name in fact.column_names]
        dates = pl.col(texts).str.to_date("%Y-%m-%d")
        return rows.frame.with_columns(*split_timestamps(), dates, sales_staff_id="staff_id").select(fact.column_names)

    frames = [*map(ours, parts)]
    amount = Amount(sum(frame.height for frame in frames), int(sum(frame.estimated_size() for frame in frames)))
    limit = "the plain casts, unchecked"
    await meter.measure("transform", amount, in_thread(ours, parts), limit, in_thread(cast, parts))
    return frames


async def parquet_write(meter: Meter, fact: Fact, frames: Sequence[pl.DataFrame]) -> list[ParquetPart]:
    """Measure writing Parquet; the parts."""

    def ours(frame: pl.DataFrame) -> bytes:
        return to_parquet(frame, fact)

    tables = [frame.to_arrow() for frame in frames]
    limit = "pyarrow, uncompressed"
    await meter.measure(
        "Parquet write", _amount(tables), in_thread(ours, frames), limit, in_thread(_write_plain, tables)
    )
    return [(frame.height, ours(frame)) for frame in frames]


async def parquet_read(meter: Meter, fact: Fact, parts: Sequence[ParquetPart]) -> list[pa.Table]:
    """Measure reading Parquet; one table per part."""

    def ours(part: ParquetPart) -> pa.Table:
        rows, body = part
        return pa.Table.from_batches(open_part(body, rows, fact, fact.name).batches())

    tables = [*map(ours, parts)]
    plain = [*map(_write_plain, tables)]
    limit = "pyarrow, uncompressed"
    await meter.measure("Parquet read", _amount(tables), in_thread(ours, parts), limit, in_thread(_read_plain, plain))
    return tables


def _amount(tables: Sequence[pa.Table]) -> Amount:
    return Amount(sum(table.num_rows for table in tables), sum(table.nbytes for table in tables))


def _write_plain(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, compression="none", use_dictionary=False)
    return sink.getvalue()


def _read_plain(body: bytes) -> pa.Table:
    return pyarrow.parquet.ParquetFile(pa.BufferReader(body)).read()
