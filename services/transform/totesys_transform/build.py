"""Source frames to a warehouse table's rows, and to the rows that cannot become any. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from totesys.errors import ModelError
from totesys.frames import key_type, polars_type
from totesys.lake.records import REASONS
from totesys.redaction import safe_message
from totesys.schema import Model
from totesys.table import Column, Dimension, WarehouseTable
from totesys.types import Kind
from totesys_transform.csv import ROW, Rows
from totesys_transform.reasons import NOT_BUILT, is_null, not_valid

UNKNOWN = "Unknown"
_KEY = "key"
# So many faults of the tables that a row is joined with are named.
_NAMED = 3
_NONE_REJECTED = pl.DataFrame(schema={ROW: pl.UInt32, REASONS: pl.List(pl.String)})


@dataclass(frozen=True)
class Built:
    """A warehouse table's rows; and which rows of the first source became none, by position, with the reasons."""

    rows: pl.DataFrame
    rejected: pl.DataFrame


def build(model: Model, table: WarehouseTable, sources: Mapping[str, Rows]) -> Built:
    """Build a table from the rows of its sources, by name.

    The same sources give the same rows in the same order, whatever order a join leaves them in: two replicas
    that build the same part write the same bytes. Raises ModelError if the table's function makes two rows of one, or
    fails.
    """
    several = [sources[name] for name in table.sources]
    key = model.source(table.sources[0]).key
    made = _made(table, [rows.frame for rows in several], key)
    if all(rows.stand_in is None for rows in several):
        whole = made
        good = made.drop_nulls(_required(table)) if _lacks_any(table, made) else made
    else:
        whole = _made(table, [rows.standing_in for rows in several], key)
        # What an unreadable value has a part in comes out otherwise with another one in its place.
        same = made.join(whole, on=list(table.column_names), how="semi", nulls_equal=True, maintain_order="left")
        good = same.drop_nulls(_required(table))
    if good.height == several[0].frame.height:
        return Built(good, _NONE_REJECTED)
    keys = several[0].frame.select(pl.col(key).cast(key_type(table)).alias(_KEY)).with_row_index(ROW)
    rejected = keys.join(good.select(pl.col(table.key).alias(_KEY)), on=_KEY, how="anti", maintain_order="left")
    return Built(good, _with_reasons(model, table, several, whole, rejected))


def build_from_references(table: Dimension, keys: pl.Series, as_of: date) -> pl.DataFrame:
    """Build a dimension that has no source from the distinct keys that a run's rows refer to."""
    assert table.build_from_references is not None
    return table.build_from_references(keys, as_of).select(_declared(table)).collect()


def _made(table: WarehouseTable, frames: Sequence[pl.DataFrame], source_key: str) -> pl.DataFrame:
    assert table.build is not None
    first, *others = (frame.lazy() for frame in frames)
    if frames[0][source_key].null_count():
        first = first.filter(pl.col(source_key).is_not_null())
    try:
        made = table.build(first, *others).select(_declared(table)).collect()
    except pl.exceptions.PolarsError as error:
        raise ModelError(
            f"The function that builds {table.name} fails on these rows: {safe_message(error)}."
        ) from error
    if not made[table.key].is_sorted():
        made = made.sort(table.key)
    if len(table.sources) > 1 and made[table.key].n_unique() != made.height:
        raise ModelError(f"The function that builds {table.name} gives more than one row for a {table.key}.")
    return made


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


def _lacks_any(table: WarehouseTable, made: pl.DataFrame) -> bool:
    return any(made[name].null_count() for name in _required(table))


def _with_reasons(
    model: Model, table: WarehouseTable, several: Sequence[Rows], whole: pl.DataFrame, rejected: pl.DataFrame
) -> pl.DataFrame:
    """The rejected rows with what is wrong: with their own values, else with those that they are joined with."""
    lacking = [name for name in _required(table) if whole[name].null_count()]
    flags = whole.unique(table.key, maintain_order=True).select(
        pl.col(table.key).alias(_KEY), *(pl.col(name).is_null().alias(f"no {name}") for name in lacking)
    )
    values = several[0].frame[rejected[ROW]].select(pl.all().cast(pl.String))
    found = pl.concat(
        [rejected.join(flags, on=_KEY, how="left", maintain_order="left"), values.select(pl.all().name.prefix("its "))],
        how="horizontal",
    ).join(several[0].faults, on=ROW, how="left", maintain_order="left")
    own = pl.concat_list(pl.col(REASONS).fill_null([]), *(_lack(model, table, name) for name in lacking))
    own = own.list.drop_nulls().list.unique(maintain_order=True)
    else_ = pl.lit([*_faults_of_others(model, table, several)] or [NOT_BUILT], dtype=pl.List(pl.String))
    return found.select(ROW, pl.when(own.list.len() > 0).then(own).otherwise(else_).alias(REASONS)).sort(ROW)


def _lack(model: Model, table: WarehouseTable, name: str) -> pl.Expr:
    """The reason, where the required column is NULL: what the source column that it is made of has in its place."""
    column = table.column(name)
    prefix = f"{table.sources[0]}."
    made_of = next((of for of in model.source_columns(table, column) if of.startswith(prefix)), None)
    if made_of is None:
        reason = is_null(name)
    else:
        own = made_of.removeprefix(prefix)
        value = pl.col(f"its {own}")
        reason = pl.when(value.is_null()).then(is_null(own)).otherwise(not_valid(own, column.type, value))
    return pl.when(pl.col(f"no {name}")).then(reason)


def _faults_of_others(model: Model, table: WarehouseTable, several: Sequence[Rows]) -> Iterable[str]:
    def named() -> Iterator[str]:
        for name, rows in zip(table.sources[1:], several[1:], strict=True):
            keys = rows.frame[model.source(name).key].cast(pl.String)
            for row, reasons in rows.faults.iter_rows():
                yield f"{name} {keys[row]}: {'; '.join(reasons)}"

    return [reason for reason, _ in zip(named(), range(_NAMED), strict=False)]
