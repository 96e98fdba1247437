"""The keys of a dimension as ranges of consecutive numbers, however many keys there are. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import attrgetter

import pyarrow as pa
import pyarrow.compute as pc

from totesys.table import Table


@dataclass(frozen=True, order=True)
class NumberRange:
    """Every number from `first` to `last`."""

    first: int
    last: int


def key_numbers(table: Table, rows: pa.RecordBatch) -> pa.Array:
    """A 64-bit integer for the key of each row: the key itself, the day of a date, or else a digest of its texts."""
    columns = [rows[name] for name in table.key_names]
    if len(columns) == 1:
        return numbers(columns[0])
    return numbers(pc.binary_join_element_wise(*(column.cast(pa.string()) for column in columns), "\0"))


def numbers(keys: pa.Array) -> pa.Array:
    """The same for the keys in one column."""
    if pa.types.is_integer(keys.type):
        return keys.cast(pa.int64())
    if pa.types.is_date32(keys.type):
        return keys.cast(pa.int32()).cast(pa.int64())
    return pa.array([_digest(text) for text in keys.cast(pa.string()).to_pylist()], pa.int64())


def _digest(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8], signed=True)


def ranges_of(keys: pa.Array) -> list[NumberRange]:
    """The fewest ranges that hold exactly these numbers, in order."""
    if not len(keys):
        return []
    ordered = keys.take(pc.sort_indices(keys))
    before, after = ordered[:-1], ordered[1:]
    # The difference wraps around at the ends of the type, and is never 0 or 1 there by accident.
    gap = pc.greater(pc.cast(pc.subtract(after, before), pa.uint64(), safe=False), pa.scalar(1, pa.uint64()))
    firsts = [ordered[0].as_py(), *after.filter(gap).to_pylist()]
    lasts = [*before.filter(gap).to_pylist(), ordered[-1].as_py()]
    return [NumberRange(first, last) for first, last in zip(firsts, lasts, strict=True)]


def union(ranges: Iterable[NumberRange]) -> list[NumberRange]:
    """The fewest ranges that hold what any of these holds, in order."""
    found: list[NumberRange] = []
    for one in sorted(ranges, key=attrgetter("first")):
        if found and one.first <= found[-1].last + 1:
            found[-1] = NumberRange(found[-1].first, max(found[-1].last, one.last))
        else:
            found.append(one)
    return found


def without(ranges: Sequence[NumberRange], others: Sequence[NumberRange]) -> list[NumberRange]:
    """The numbers of `ranges` that are in none of `others`. Both are in order, and their ranges do not touch."""
    found: list[NumberRange] = []
    ends = [other.last for other in others]
    for one in ranges:
        first = one.first
        # The first other range that does not end before this one begins.
        index = bisect_right(ends, first - 1)
        while index < len(others) and others[index].first <= one.last:
            if first < others[index].first:
                found.append(NumberRange(first, others[index].first - 1))
            first = others[index].last + 1
            index += 1
        if first <= one.last:
            found.append(NumberRange(first, one.last))
    return found


def are_in(keys: pa.Array, ranges: Sequence[NumberRange]) -> pa.Array:
    """Whether each number is in one of the ranges, which are in order and do not touch."""
    firsts = list(map(attrgetter("first"), ranges))

    def is_in(key: int) -> bool:
        index = bisect_right(firsts, key)
        return index > 0 and key <= ranges[index - 1].last

    return pa.array([is_in(key) for key in keys.to_pylist()], pa.bool_())
