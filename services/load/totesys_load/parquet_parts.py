"""Parquet parts: checked by their footer before any row is read, and read in batches of bounded size."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from totesys.arrow import arrow_schema
from totesys.errors import CorruptObject
from totesys.lake.bucket import Bucket
from totesys.lake.records import Part
from totesys.table import Column, Table

# Rows that are read and encoded at once: enough to keep the server busy, few enough to keep memory flat.
BATCH_ROWS = 65_536
BATCH_BYTES = 32 * 1024 * 1024
# What a row group may need before compression. Transform writes less.
GROUP_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class ParquetPart:
    """A part whose footer agrees with its manifest and its table's declaration.

    `columns` are the declared ones: a later release of transform may have written further ones.
    """

    file: pyarrow.parquet.ParquetFile
    columns: tuple[Column, ...]
    where: str

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, in batches of at most BATCH_ROWS rows and, but for a single row, BATCH_BYTES.

        Raises CorruptObject if the rows are not what the footer says.
        """
        try:
            for batch in self.file.iter_batches(BATCH_ROWS, columns=[column.name for column in self.columns]):
                yield from _bounded(batch)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _corrupt(self.where, f"cannot be read: {error}") from error


def open_part(body: bytes, rows: int, table: Table, where: str) -> ParquetPart:
    """The part `body` of a table, which has so many `rows` by its manifest. `where` names it in errors.

    Raises CorruptObject if it is not Parquet, has another number of rows, lacks a declared column or has one of another
    type, or needs more memory than a part may.
    """
    try:
        plain = pyarrow.parquet.ParquetFile(pa.BufferReader(body))
        found, footer = plain.schema_arrow, plain.metadata
        columns = tuple(column for column in table.columns if column.name in found.names)
        repetitive = _dictionary_encoded(footer)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _corrupt(where, f"is not Parquet: {error}") from error
    if footer.num_rows != rows:
        raise _corrupt(where, f"has {footer.num_rows} rows, its manifest says {rows}")
    if not pa.schema([found.field(column.name) for column in columns]).equals(arrow_schema(table)):
        raise _corrupt(where, f"does not have the columns of {table.name}")
    largest = max((footer.row_group(number).total_byte_size for number in range(footer.num_row_groups)), default=0)
    if largest > GROUP_BYTES:
        raise _corrupt(where, f"has a row group of {largest} bytes, and at most {GROUP_BYTES} are read")
    # A text that is there once for many rows stays once in memory until a batch is known to be small.
    file = pyarrow.parquet.ParquetFile(pa.BufferReader(body), metadata=footer, read_dictionary=repetitive)
    return ParquetPart(file, columns, where)


async def get_part(bucket: Bucket, part: Part, table: Table) -> ParquetPart:
    """The part of a table in a bucket. Raises CorruptObject or LakeUnavailable."""
    return open_part(await bucket.get_part(part), part.rows, table, bucket.where(part.key))


def _corrupt(where: str, fault: str) -> CorruptObject:
    return CorruptObject(f"{where} {fault}. Replay its run from transform on.")


def _dictionary_encoded(footer: pyarrow.parquet.FileMetaData) -> list[str]:
    """The text columns that any row group has as a dictionary."""
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    return sorted({c.path_in_schema for c in chunks if c.physical_type == "BYTE_ARRAY" and c.has_dictionary_page})


def _bounded(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    if batch.num_rows > 1 and sum(map(_plain_bytes, batch.columns)) > BATCH_BYTES:
        half = batch.num_rows // 2
        yield from _bounded(batch.slice(0, half))
        yield from _bounded(batch.slice(half))
        return
    columns = [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in batch.columns]
    yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _plain_bytes(column: pa.Array) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(column.indices)).as_py() or 0)
