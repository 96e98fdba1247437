"""Rows are counted as a reader of CSV would, whatever their texts hold."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from totesys_ingest.part_writer import count_rows

TEXT = st.text(st.sampled_from('ab",\n\r€ '), max_size=6)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=20), st.booleans())
def test_line_ends_in_quotes_are_no_rows(rows: list[tuple[str, str]], quoted: bool) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL).writerows(rows)
    assert count_rows(out.getvalue().encode()) == len(rows)
