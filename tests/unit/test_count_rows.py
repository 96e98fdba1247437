"""Rows are counted as a reader of CSV would, whatever their texts hold."""

import csv
import io
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from totesys_ingest.part_writer import count_rows

TEXT = st.text(st.sampled_from('ab",\n\r€ '), max_size=6)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=20), st.booleans())
def test_line_ends_in_quotes_are_no_rows(rows: list[tuple[str, str]], quoted: bool) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL).writerows(rows)
    assert count_rows(out.getvalue().encode()) == len(rows)


def test_a_text_of_many_quotes_takes_no_more_memory_than_it_has_bytes() -> None:
    row = b'1,"' + b'""\n' * 1_000_000 + b'"\n'
    tracemalloc.start()
    try:
        assert count_rows(row) == 1
        assert tracemalloc.get_traced_memory()[1] < len(row)
    finally:
        tracemalloc.stop()
