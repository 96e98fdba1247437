"""What a Parquet part claims is checked before a row of it is read, and reading it takes a bounded amount of memory."""

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from totesys.errors import CorruptObject
from totesys.table import Column, Table
from totesys.types import BIGINT, TEXT, numeric
from totesys_load import parquet_parts
from totesys_load.parquet_parts import BATCH_BYTES, BATCH_ROWS, open_part

TABLE = Table(
    "note", (Column("id", BIGINT), Column("text", TEXT, nullable=True), Column("price", numeric(8, 2))), key="id"
)
SCHEMA = pa.schema(
    [pa.field("id", pa.int64(), False), pa.field("text", pa.string()), pa.field("price", pa.decimal128(8, 2), False)]
)


def rows(texts: list[str | None], schema: pa.Schema = SCHEMA) -> pa.Table:
    numbers = list(range(len(texts)))
    prices = pa.array(numbers, pa.int32()).cast(pa.decimal128(12, 2)).cast(pa.decimal128(8, 2))
    return pa.table({"id": numbers, "text": pa.array(texts, pa.string()), "price": prices}).cast(schema)


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, **options)
    return sink.getvalue()


def flipped(body: bytes, place: int) -> bytes:
    return body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :]


GOOD = rows(["a", None, "b"])
WRONG: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is not Parquet"),
    "no Parquet": (b"PAR1 and nothing else PAR1", "is not Parquet"),
    "cut off": (parquet(GOOD)[:-20], "is not Parquet"),
    "more rows than its manifest says": (parquet(rows(["a"] * 4)), "has 4 rows, its manifest says 3"),
    "fewer rows than its manifest says": (parquet(rows(["a"])), "has 1 rows, its manifest says 3"),
    "a column missing": (parquet(GOOD.drop_columns(["text"])), "does not have the columns of note"),
    "another type": (parquet(GOOD.set_column(0, "id", GOOD["id"].cast(pa.int32()))), "does not have the columns"),
    "another scale": (
        parquet(GOOD.set_column(2, "price", GOOD["price"].cast(pa.decimal128(9, 3)))),
        "does not have the columns of note",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_part_that_is_not_what_its_manifest_says_is_refused_before_it_is_read(what: str) -> None:
    body, fault = WRONG[what]
    with pytest.raises(CorruptObject, match=f"^s3://b/k {fault}.*Replay its run from transform on"):
        open_part(body, 3, TABLE, "s3://b/k")


def test_a_part_damaged_anywhere_is_refused_or_read_but_never_ends_otherwise() -> None:
    body = parquet(rows(["a", None, "b"] * 50))
    for place in range(len(body)):
        try:
            list(open_part(flipped(body, place), 150, TABLE, "s3://b/k").batches())
        except CorruptObject:
            continue


def test_a_row_group_that_needs_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_parts, "GROUP_BYTES", 1000)
    with pytest.raises(CorruptObject, match=r"has a row group of [0-9]+ bytes, and at most 1000 are read"):
        open_part(parquet(rows(["x" * 100] * 100), use_dictionary=False), 100, TABLE, "s3://b/k")


MIB = 1024 * 1024
TEXTS: dict[str, Callable[[], list[str | None]]] = {
    "one long text in every row": lambda: ["x" * MIB] * 300,
    "long texts that differ": lambda: [f"{n}" + "x" * MIB for n in range(100)],
    "one row longer than a batch": lambda: ["x" * (BATCH_BYTES + 1), "a", None],
    "short texts": lambda: [f"text {n % 7}" if n % 3 else None for n in range(2 * BATCH_ROWS + 1)],
    "none": list,
}


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("what", TEXTS)
def test_rows_come_as_they_were_in_batches_of_bounded_size(what: str, dictionary: bool) -> None:
    texts = TEXTS[what]()
    body = parquet(rows(texts), use_dictionary=dictionary, compression="zstd")
    seen: list[str | None] = []
    for batch in open_part(body, len(texts), TABLE, "s3://b/k").batches():
        assert batch.num_rows <= BATCH_ROWS
        assert batch.num_rows == 1 or batch.nbytes <= 2 * BATCH_BYTES
        assert batch.schema.types == SCHEMA.types
        seen += batch["text"].to_pylist()
    assert seen == texts


def test_a_column_that_a_later_release_added_is_left_out() -> None:
    body = parquet(GOOD.append_column("later", pa.array([1, 2, 3])))
    (batch,) = open_part(body, 3, TABLE, "s3://b/k").batches()
    assert batch.schema.names == ["id", "text", "price"]
