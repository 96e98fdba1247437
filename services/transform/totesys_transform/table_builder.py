"""Builds a warehouse table's rows from source frames, and finds the source rows that become none. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from totesys.errors import ModelError
from totesys.frames import key_of, polars_schema, polars_type
from totesys.lake.records import REASONS
from totesys.redaction import safe_message
from totesys.schema import Model
from totesys.table import KEY_RANGES, Column, Dimension, SourceTable, WarehouseTable
from totesys_transform.csv_reader import ROW, SourceRows
from totesys_transform.quarantine_reasons import NOT_BUILT, is_null, not_valid

UNKNOWN = "Unknown"
# The most faults of joined tables that a reason names.
_NAMED_FAULTS = 3
# Rows that the check of the grain looks at.
SAMPLE = 1000
_FEW = 8
_NONE_REJECTED = pl.DataFrame(schema={ROW: pl.UInt32, REASONS: pl.List(pl.String)})


@dataclass(frozen=True)
class Built:
    """A warehouse table's rows, and what became of the other rows of its first source.

    `rejected` has the rows that should have become one and could not, by position, with the reasons. `left_out` has the
    keys of the rows that the table's function leaves out, by a filter or a join: the warehouse must not show them.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    left_out: pl.DataFrame


def build(model: Model, table: WarehouseTable, sources: Mapping[str, SourceRows]) -> Built:
    """Build a table from the rows of its sources, by name.

    The same sources give the same rows in the same order, whatever order a join returns: two replicas that build the
    same part write the same bytes. Raises ModelError if the table's function fails or makes two rows of one.
    """
    several = [sources[name] for name in table.sources]
    source = model.source(table.sources[0])
    made = _made(table, [rows.frame for rows in several], source)
    if all(rows.stand_in is None for rows in several):
        every = made
        good = made.drop_nulls(_required(table)) if _has_missing(table, made) else made
    else:
        every = _made(table, [rows.standing_in for rows in several], source)
        # A row that an unreadable value influences comes out differently with the stand-in.
        same = made.join(every, on=list(table.column_names), how="semi", nulls_equal=True, maintain_order="left")
        good = same.drop_nulls(_required(table))
    if good.height == several[0].frame.height:
        return Built(good, _NONE_REJECTED, pl.DataFrame(schema=polars_schema(table.keys)))
    names = _names(table)
    keys = several[0].frame.select(key_of(source, table, names)).with_row_index(ROW)
    others = keys.join(good.select(_keys(table)), on=names, how="anti", maintain_order="left")
    left_out = _left_out(table, several, every, others)
    rejected = others.join(left_out, on=ROW, how="anti", maintain_order="left")
    return Built(good, _with_reasons(model, table, several, every, rejected), left_out.select(_own_keys(table)))


def key_list(table: WarehouseTable, keys: pl.DataFrame) -> pl.DataFrame:
    """Distinct keys of a table in the columns of `table.keys`: integers as the fewest ranges of consecutive ones."""
    ordered = keys.unique().sort(table.key_names)
    if not table.has_integer_key:
        return ordered
    first, last = KEY_RANGES.column_names
    key = pl.col(table.only_key).cast(pl.Int64)
    consecutive = (key - pl.int_range(pl.len(), dtype=pl.Int64)).alias("gap")
    grouped = ordered.select(key.alias(first), consecutive).group_by("gap", maintain_order=True)
    return grouped.agg(pl.col(first).first(), pl.col(first).last().alias(last)).select(first, last)


def check_grain(model: Model, table: WarehouseTable, sources: Mapping[str, SourceRows]) -> None:
    """Check on a sample that each row is built from one row of the first source, whatever other rows come with it.

    Runs bring the rows that changed, so an aggregate, a window function or distinct values would be right for the first
    load and wrong from the first change on. Raises ModelError.
    """
    several = [sources[name] for name in table.sources]
    first, *joined = (rows.standing_in for rows in several)
    sample, source = first.head(SAMPLE), model.source(table.sources[0])
    whole = _made(table, [sample, *joined], source)
    for split in _splits(sample):
        apart = pl.concat(_made(table, [piece, *joined], source) for piece in split)
        if whole.equals(apart.sort(table.key_names)):
            continue
        raise ModelError(
            f"The function that builds {table.name} makes rows that depend on other rows of {table.sources[0]}, or on "
            "chance. A run brings only rows that changed, so such rows would become wrong. Build each row from one row "
            f"of {table.sources[0]}, without group_by, unique, or functions over several rows."
        )


def build_from_references(table: Dimension, keys: pl.Series, as_of: date) -> pl.DataFrame:
    """Build a dimension without sources from the distinct keys that a run's rows refer to."""
    assert table.build_from_references is not None
    return table.build_from_references(keys, as_of).select(_declared(table)).collect()


def _splits(sample: pl.DataFrame) -> Iterator[list[pl.DataFrame]]:
    """Ways to split the rows: few into single rows, many into halves at random."""
    if sample.height <= _FEW:
        yield [sample.slice(row, 1) for row in range(sample.height)]
        return
    for seed in (1, 2):
        shuffled, half = sample.sample(fraction=1, shuffle=True, seed=seed), sample.height // 2
        yield [shuffled.slice(0, half), shuffled.slice(half)]


def _names(table: WarehouseTable) -> list[str]:
    """Names for the columns of a key beside other columns."""
    return [f"key {number}" for number in range(len(table.key_names))]


def _keys(table: WarehouseTable) -> list[pl.Expr]:
    return [pl.col(own).alias(name) for own, name in zip(table.key_names, _names(table), strict=True)]


def _own_keys(table: WarehouseTable) -> list[pl.Expr]:
    return [pl.col(name).alias(own) for own, name in zip(table.key_names, _names(table), strict=True)]


def _made(table: WarehouseTable, frames: Sequence[pl.DataFrame], source: SourceTable) -> pl.DataFrame:
    assert table.build is not None
    first, *others = (frame.lazy() for frame in frames)
    key_names = list(table.key_names)
    if any(frames[0][name].null_count() for name in source.key_names):
        first = first.drop_nulls(source.key_names)
    try:
        made = table.build(first, *others).select(_declared(table)).collect()
    except Exception as error:
        raise ModelError(
            f"The function that builds {table.name} fails on rows of this run: {type(error).__name__}: "
            f"{safe_message(error)}. Correct the function."
        ) from error
    if len(key_names) > 1 or not made[table.only_key].is_sorted():
        made = made.sort(key_names)
    if made.select(key_names).n_unique() != made.height:
        raise ModelError(
            f"The function that builds {table.name} returns more than one row for a {table.key_label}. It may return "
            f"one for each row of {table.sources[0]}: correct its join or its key."
        )
    keys = frames[0].select(key_of(source, table, key_names))
    if made.join(keys, on=key_names, how="anti").height:
        raise ModelError(
            f"The function that builds {table.name} returns a {table.key_label} that {source.name} does not have in "
            f"{source.key_label}. Each row needs the key of the row that it is built from."
        )
    return made


def _left_out(
    table: WarehouseTable, several: Sequence[SourceRows], every: pl.DataFrame, others: pl.DataFrame
) -> pl.DataFrame:
    """The rows that the function leaves out, whatever their unreadable values may stand for."""
    if any(not rows.faults.is_empty() for rows in several[1:]):
        return others.clear()
    names = _names(table)
    dropped = others.drop_nulls(names).join(every.select(_keys(table)), on=names, how="anti", maintain_order="left")
    return dropped.join(several[0].faults, on=ROW, how="anti", maintain_order="left")


def _declared(table: WarehouseTable) -> list[pl.Expr]:
    return [_column(table, column) for column in table.columns]


def _column(table: WarehouseTable, column: Column) -> pl.Expr:
    value = pl.col(column.name).cast(polars_type(column.type))
    may_be_unknown = isinstance(table, Dimension) and not column.nullable and column.name not in table.key_names
    if may_be_unknown and column.type.is_text:
        return value.fill_null(UNKNOWN)
    return value


def _required(table: WarehouseTable) -> list[str]:
    return [column.name for column in table.columns if not column.nullable]


def _has_missing(table: WarehouseTable, made: pl.DataFrame) -> bool:
    return any(made[name].null_count() for name in _required(table))


def _with_reasons(
    model: Model, table: WarehouseTable, several: Sequence[SourceRows], every: pl.DataFrame, rejected: pl.DataFrame
) -> pl.DataFrame:
    """The rejected rows with what is wrong with their own values, or else with the values that they are joined with."""
    missing = [name for name in _required(table) if every[name].null_count()]
    flags = every.unique(list(table.key_names), maintain_order=True).select(
        *_keys(table), *(pl.col(name).is_null().alias(f"no {name}") for name in missing)
    )
    values = (
        several[0]
        .frame[rejected[ROW]]
        .select(pl.exclude(pl.Binary).cast(pl.String), pl.col(pl.Binary).bin.encode("hex"))
    )
    found = pl.concat(
        [
            rejected.join(flags, on=_names(table), how="left", maintain_order="left"),
            values.select(pl.all().name.prefix("its ")),
        ],
        how="horizontal",
    ).join(several[0].faults, on=ROW, how="left", maintain_order="left")
    own = pl.concat_list(pl.col(REASONS).fill_null([]), *(_reason_if_missing(model, table, name) for name in missing))
    own = own.list.drop_nulls().list.unique(maintain_order=True)
    else_ = pl.lit([*_faults_of_others(model, table, several)] or [NOT_BUILT], dtype=pl.List(pl.String))
    return found.select(ROW, pl.when(own.list.len() > 0).then(own).otherwise(else_).alias(REASONS)).sort(ROW)


def _reason_if_missing(model: Model, table: WarehouseTable, name: str) -> pl.Expr:
    """The reason where a required column is NULL: the value of the source column that it is made from."""
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


def _faults_of_others(model: Model, table: WarehouseTable, several: Sequence[SourceRows]) -> Iterable[str]:
    def named() -> Iterator[str]:
        for name, rows in zip(table.sources[1:], several[1:], strict=True):
            texts = [pl.col(own).cast(pl.String) for own in model.source(name).key_names]
            keys = rows.frame.select(pl.concat_str(texts, separator=",")).to_series()
            for row, reasons in rows.faults.iter_rows():
                yield f"{name} {keys[row]}: {'; '.join(reasons)}"

    return [reason for reason, _ in zip(named(), range(_NAMED_FAULTS), strict=False)]
