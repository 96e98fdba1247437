"""Source frames to a warehouse table's rows, and to the rows that cannot become any. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from totesys.errors import ModelError
from totesys.frames import key_type, polars_type
from totesys.lake.records import REASONS
from totesys.table import Column, Dimension, WarehouseTable
from totesys.types import Kind
from totesys_transform.csv import Rows, no_reasons, no_value

UNKNOWN = "Unknown"


@dataclass(frozen=True)
class Built:
    """A warehouse table's rows, and the keys of the rows left out with the reasons of each (list of text)."""

    rows: pl.DataFrame
    rejected: pl.DataFrame


def build(table: WarehouseTable, sources: Mapping[str, Rows], source_key: str) -> Built:
    """Build a table from the rows of its sources, by name; `source_key` is the key of the first source.

    The same sources give the same rows in the same order, whatever order a join leaves them in: two replicas
    that build the same part write the same bytes. Raises ModelError if the table's function makes two rows of one.
    """
    assert table.build is not None
    unreadable = sources[table.sources[0]].unreadable
    first, *others = (sources[name].frame for name in table.sources)
    if not unreadable.is_empty():
        first = first.join(unreadable, left_on=source_key, right_on="key", how="anti")
    made = table.build(first.lazy(), *(frame.lazy() for frame in others)).select(_declared(table)).collect()
    if not made[table.key].is_sorted():
        made = made.sort(table.key)
    if len(table.sources) > 1 and made[table.key].n_unique() != made.height:
        raise ModelError(f"The function that builds {table.name} gives more than one row for a {table.key}.")
    rejected = _rejected(table, made)
    lost = _lost(first[source_key], made[table.key])
    if rejected.is_empty() and lost.is_empty() and unreadable.is_empty():
        return Built(made, rejected)
    unreadable = unreadable.with_columns(pl.col("key").cast(made.schema[table.key]))
    return Built(made.drop_nulls(_required(table)), pl.concat([rejected, lost, unreadable]).sort("key"))


def build_from_references(table: Dimension, keys: pl.Series, as_of: date) -> pl.DataFrame:
    """Build a dimension that has no source from the distinct keys that a run's rows refer to."""
    assert table.build_from_references is not None
    return table.build_from_references(keys, as_of).select(_declared(table)).collect()


def _declared(table: WarehouseTable) -> list[pl.Expr]:
    return [_column(table, column) for column in table.columns]


def _column(table: WarehouseTable, column: Column) -> pl.Expr:
    value = pl.col(column.name).cast(polars_type(column.type))
    may_be_unknown = isinstance(table, Dimension) and not column.nullable and column.name != table.key
    if may_be_unknown and column.type.kind is Kind.TEXT:
        return value.fill_null(UNKNOWN)
    return value


def _required(table: WarehouseTable) -> list[str]:
    return [column.name for column in table.columns if not column.nullable]


def _rejected(table: WarehouseTable, made: pl.DataFrame) -> pl.DataFrame:
    required = _required(table)
    if not any(made[name].null_count() for name in required):
        return no_reasons(key_type(table))
    reasons = pl.concat_list(pl.when(pl.col(name).is_null()).then(pl.lit(no_value(name))) for name in required)
    faulty = made.filter(pl.any_horizontal(pl.col(name).is_null() for name in required))
    return faulty.select(key=pl.col(table.key), **{REASONS: reasons.list.drop_nulls()})


def _lost(wanted: pl.Series, got: pl.Series) -> pl.DataFrame:
    if wanted.len() == got.len():
        return no_reasons(got.dtype)
    missing = pl.DataFrame({"key": wanted.cast(got.dtype)}).join(pl.DataFrame({"key": got}), on="key", how="anti")
    reason = pl.lit(["no row was built of it"], dtype=pl.List(pl.String))
    return missing.with_columns(reason.alias(REASONS))
