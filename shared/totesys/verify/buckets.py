"""Ranges of keys whose rows are summed before any of them is compared. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

BUCKETS = 4096


@dataclass(frozen=True)
class BucketChecksum:
    """The number of rows in a bucket, and the sum of their hashes, which doesn't depend on their order."""

    rows: int
    hashes: int


@dataclass(frozen=True)
class KeySpan:
    """All keys from `first` to `last`."""

    first: int
    last: int


def width_for(span: KeySpan) -> int:
    """The width of about BUCKETS buckets that cover the span."""
    return -(-(span.last - span.first + 1) // BUCKETS)


def differing(
    expected: Mapping[int, BucketChecksum], found: Mapping[int, BucketChecksum], width: int, span: KeySpan
) -> list[KeySpan]:
    """The key ranges of the buckets that differ, within the span; neighbours are merged."""
    unequal = (bucket for bucket in expected.keys() | found.keys() if expected.get(bucket) != found.get(bucket))
    return ranges_of(unequal, width, span)


def ranges_of(buckets: Iterable[int], width: int, span: KeySpan) -> list[KeySpan]:
    """The key ranges of the buckets, within the span; neighbours are merged."""
    ranges: list[KeySpan] = []
    for bucket in sorted(buckets):
        keys = _keys_of(bucket, width, span)
        if ranges and ranges[-1].last + 1 == keys.first:
            keys = KeySpan(ranges.pop().first, keys.last)
        ranges.append(keys)
    return ranges


def _keys_of(bucket: int, width: int, span: KeySpan) -> KeySpan:
    """The keys whose quotient by `width`, truncated towards zero as in Postgres, is the bucket's number."""
    start = bucket * width
    first = start if bucket > 0 else start - width + 1
    last = start if bucket < 0 else start + width - 1
    return KeySpan(max(first, span.first), min(last, span.last))
