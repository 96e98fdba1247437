"""What should be there against what is there: two frames of texts, compared row by row and column by column."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from totesys.table import WarehouseTable

SAMPLES = 5
FOUND = " (found)"
TURN = " (turn)"  # tells rows of one key apart, so that a key that is there twice is one row too many


@dataclass(frozen=True)
class Sample:
    """One value that is not as it should be. Of a row on one side only, it is the key."""

    key: str
    column: str
    expected: str | None
    found: str | None


@dataclass(frozen=True)
class TableComparison:
    """A table's rows, counted.

    `compared` are the rows on either side, and the sum of `equal`, `differing`, `missing` and `extra`.
    `quarantined` are rows of the source that cannot become warehouse rows, and are not compared.
    """

    table: str
    compared: int = 0
    equal: int = 0
    differing: int = 0
    missing: int = 0
    extra: int = 0
    quarantined: int = 0
    samples: tuple[Sample, ...] = ()

    def __add__(self, other: "TableComparison") -> "TableComparison":
        """The comparison of two parts of one table."""
        return TableComparison(
            self.table,
            self.compared + other.compared,
            self.equal + other.equal,
            self.differing + other.differing,
            self.missing + other.missing,
            self.extra + other.extra,
            self.quarantined + other.quarantined,
            (self.samples + other.samples)[:SAMPLES],
        )

    @property
    def is_equal(self) -> bool:
        return self.equal == self.compared


def equal(comparisons: Iterable[TableComparison]) -> bool:
    """Whether no row differs, is missing or is too many."""
    return all(comparison.is_equal for comparison in comparisons)


def compare(table: WarehouseTable, expected: pl.DataFrame, found: pl.DataFrame) -> TableComparison:
    """Compare the declared columns, all as text; NULL equals NULL and nothing else."""
    required = [column.name for column in table.columns if not column.nullable]
    impossible = expected.filter(pl.any_horizontal(pl.col(required).is_null()))
    rows = _joined(table, expected.drop_nulls(required), found.join(impossible, on=table.key, how="anti"))
    missing, extra = rows.filter(pl.col(TURN + FOUND).is_null()), rows.filter(pl.col(TURN).is_null())
    differing = rows.filter(pl.col(TURN).is_not_null() & pl.col(TURN + FOUND).is_not_null() & _differs(table))
    unequal = differing.height + missing.height + extra.height
    return TableComparison(
        table=table.name,
        compared=rows.height,
        equal=rows.height - unequal,
        differing=differing.height,
        missing=missing.height,
        extra=extra.height,
        quarantined=impossible.height,
        samples=tuple(
            sample for unequal_rows in (differing, missing, extra) for sample in _samples(table, unequal_rows)
        )[:SAMPLES],
    )


def _joined(table: WarehouseTable, expected: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    key = pl.col(table.key)
    if table.column(table.key).type.is_integer:
        key = key.cast(pl.Int64)
    turn = pl.int_range(pl.len(), dtype=pl.UInt32).over(key).alias(TURN)
    left, right = (frame.with_columns(key, turn) for frame in (expected, found))
    return left.join(right, on=[table.key, TURN], how="full", coalesce=False, suffix=FOUND)


def _differs(table: WarehouseTable) -> pl.Expr:
    return pl.any_horizontal(pl.col(name).ne_missing(pl.col(name + FOUND)) for name in table.column_names)


def _samples(table: WarehouseTable, rows: pl.DataFrame) -> Iterator[Sample]:
    """Each differing value of the first rows by key."""
    keys = pl.coalesce(table.key, table.key + FOUND)
    for row in rows.sort(keys).head(SAMPLES).iter_rows(named=True):
        one_sided = row[TURN] is None or row[TURN + FOUND] is None
        for name in (table.key,) if one_sided else table.column_names:
            expected, found = (None if row[side] is None else str(row[side]) for side in (name, name + FOUND))
            if expected != found:
                yield Sample(str(row[table.key] if row[TURN] is not None else found), name, expected, found)
