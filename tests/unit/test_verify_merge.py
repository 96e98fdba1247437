"""A merge join of two ordered streams gives the same result as a comparison in memory."""

from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from totesys.verify.buckets import BucketChecksum, KeySpan, differing, width_for
from totesys.verify.merge_join import merged

Row = tuple[int, str]
ROWS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("ab")), max_size=20).map(sorted)
KEYS = st.integers(-(2**63), 2**63 - 1) | st.integers(-9000, 9000)


async def stream(rows: list[Row]) -> AsyncIterator[Row]:
    for row in rows:
        yield row


@given(expected=ROWS, found=ROWS)
async def test_two_ordered_streams_are_paired_as_two_dictionaries_would_be(
    expected: list[Row], found: list[Row]
) -> None:
    pairs = [pair async for pair in merged(stream(expected), stream(found), lambda row: row[0])]
    assert [one for one, _ in pairs if one] == expected
    assert [other for _, other in pairs if other] == found
    left, right = Counter(key for key, _ in expected), Counter(key for key, _ in found)
    for key in left | right:
        of_key = [pair for pair in pairs if key in {row[0] for row in pair if row}]
        assert all(row[0] == key for pair in of_key for row in pair if row)
        assert len(of_key) == max(left[key], right[key])


@given(keys=st.sets(KEYS, min_size=1, max_size=30), changed=st.data())
def test_every_key_that_differs_is_in_a_range_that_is_compared(keys: set[int], changed: st.DataObject) -> None:
    wrong = changed.draw(st.sets(st.sampled_from(sorted(keys))))
    span = KeySpan(min(keys), max(keys))
    width = width_for(span)

    def checksums(salt: set[int]) -> dict[int, BucketChecksum]:
        sums: Counter[int] = Counter()
        for key in keys:
            # As Postgres divides: towards zero.
            sums[abs(key) // width * (1 if key > 0 else -1)] += 1000 + (key in salt)
        return {bucket: BucketChecksum(1, total) for bucket, total in sums.items()}

    ranges = differing(checksums(set()), checksums(wrong), width, span)
    assert all(any(one.first <= key <= one.last for one in ranges) for key in wrong)
    assert all(one.last < other.first - 1 for one, other in pairwise(ranges))
    assert bool(ranges) == bool(wrong)
