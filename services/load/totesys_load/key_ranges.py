"""The keys of a dimension as ranges of numbers without a gap, however many keys there are. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from operator import attrgetter

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, order=True)
class KeyRange:
    """Every number from `first` to `last`."""

    first: int
    last: int


def numbers(keys: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A number for each key, as 64-bit integers: itself, a date's day, or else a digest of its text."""
    keys = keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys
    if pa.types.is_integer(keys.type):
        return keys.cast(pa.int64())
    if pa.types.is_date32(keys.type):
        return keys.cast(pa.int32()).cast(pa.int64())
    return pa.array([_digest(text) for text in keys.cast(pa.string()).to_pylist()], pa.int64())


def _digest(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8], signed=True)


@dataclass
class BroughtKeys:
    """The keys that the rows of a run have, in the column `key`."""

    key: str
    _found: list[KeyRange] = field(default_factory=list)

    def add(self, rows: pa.Table) -> None:
        """Count rows in."""
        self._found += ranges_of(numbers(rows[self.key]))

    @property
    def ranges(self) -> list[KeyRange]:
        return union(self._found)


def ranges_of(keys: pa.Array) -> list[KeyRange]:
    """The fewest ranges that hold these numbers and no other, in order."""
    if not len(keys):
        return []
    ordered = keys.take(pc.sort_indices(keys))
    before, after = ordered[:-1], ordered[1:]
    # Wraps around at the ends of the type, where no difference is 0 or 1 by accident.
    gap = pc.greater(pc.cast(pc.subtract(after, before), pa.uint64(), safe=False), pa.scalar(1, pa.uint64()))
    firsts = [ordered[0].as_py(), *after.filter(gap).to_pylist()]
    lasts = [*before.filter(gap).to_pylist(), ordered[-1].as_py()]
    return [KeyRange(first, last) for first, last in zip(firsts, lasts, strict=True)]


def union(ranges: Iterable[KeyRange]) -> list[KeyRange]:
    """The fewest ranges that hold what any of these holds, in order."""
    found: list[KeyRange] = []
    for one in sorted(ranges):
        if found and one.first <= found[-1].last + 1:
            found[-1] = KeyRange(found[-1].first, max(found[-1].last, one.last))
        else:
            found.append(one)
    return found


def without(ranges: Sequence[KeyRange], others: Sequence[KeyRange]) -> list[KeyRange]:
    """What of `ranges` is in none of `others`; each in order, and apart from each other."""
    found: list[KeyRange] = []
    ends = [other.last for other in others]
    for one in ranges:
        first = one.first
        # The first that does not end before this one begins.
        place = bisect_right(ends, first - 1)
        while place < len(others) and others[place].first <= one.last:
            if first < others[place].first:
                found.append(KeyRange(first, others[place].first - 1))
            first = others[place].last + 1
            place += 1
        if first <= one.last:
            found.append(KeyRange(first, one.last))
    return found


def are_in(keys: pa.Array, ranges: Sequence[KeyRange]) -> pa.Array:
    """Whether each number is in one of the ranges, which are in order and apart from each other."""
    firsts = list(map(attrgetter("first"), ranges))

    def is_in(key: int) -> bool:
        place = bisect_right(firsts, key)
        return place > 0 and key <= ranges[place - 1].last

    return pa.array([is_in(key) for key in keys.to_pylist()], pa.bool_())
