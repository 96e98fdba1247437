"""A company whose tables hold every type, required and not, captured in both ways."""

import polars as pl

from totesys.schema import Model
from totesys.table import Capture, Column, Dimension, Fact, SourceTable
from totesys.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    INTEGER,
    TEXT,
    TIME,
    TIMESTAMP,
    ColumnType,
    enum,
    numeric,
    varchar,
)

MOOD = enum("Mood", "fine", "so, so", 'he said "no"', "", " ")
TYPES: dict[str, ColumnType] = {
    "small_number": INTEGER,
    "large_number": BIGINT,
    "free_text": TEXT,
    "short_text": varchar(10),
    "money": numeric(10, 2),
    "exact_number": numeric(38, 9),
    "is_it": BOOLEAN,
    "some_day": DATE,
    "some_time": TIME,
    "some_moment": TIMESTAMP,
    "mood": MOOD,
}
VALUES = tuple(
    Column(f"{name}_or_null" if nullable else name, kind, nullable)
    for name, kind in TYPES.items()
    for nullable in (False, True)
)
COPIED = tuple(Column(column.name, TEXT if column.type.values else column.type, column.nullable) for column in VALUES)
_oracle_columns = ", ".join(f"{column.name}::text" if column.type.values else column.name for column in VALUES)

BOX = SourceTable("box", key="box_id", columns=(Column("box_id", BIGINT), *VALUES))
THING = SourceTable(
    "thing",
    key="thing_id",
    capture=Capture.INCREMENTAL,
    columns=(Column("thing_id", BIGINT), Column("box_id", BIGINT, references="box"), *VALUES),
)


def as_it_is(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame


DIM_BOX = Dimension(
    "dim_box",
    key="box_id",
    columns=(Column("box_id", BIGINT), *COPIED),
    sources=(BOX.name,),
    build=as_it_is,
    reference_query=f"SELECT box_id, {_oracle_columns} FROM box",
)
FACT_THING = Fact(
    "fact_thing",
    star="things",
    record_id="thing_record_id",
    key="thing_id",
    columns=(Column("thing_id", BIGINT), Column("box_id", BIGINT, references="dim_box"), *COPIED),
    sources=(THING.name,),
    build=as_it_is,
    reference_query=f"SELECT thing_id, box_id, {_oracle_columns} FROM thing",
)

MODEL = Model(name="values", sources=(BOX, THING), tables=(FACT_THING, DIM_BOX))
