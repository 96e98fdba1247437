"""SQL of the relation that a source's rows come from: a table, or a query over tables.

A query shows the transaction and the place of each of its tables' rows in further columns.
"""

import re
from collections.abc import Sequence

from totesys.sql import ident
from totesys.table import SourceQuery, SourceTable
from totesys.transactions import HighWaterMark

_SELECT = re.compile(r"\s*SELECT\b", re.IGNORECASE)


def begins_with_select(query: SourceQuery) -> bool:
    """Whether the query can show further columns."""
    return _SELECT.match(query.sql) is not None


def rows_of(source: SourceTable, alias: str) -> str:
    """The relation in a FROM, in the source's schema."""
    if not isinstance(source, SourceQuery):
        return f"{ident(source.name)} AS {alias}"
    hidden = ", ".join(
        f"{ident(of)}.xmin AS {ident(_xmin(place))}, {ident(of)}.ctid AS {ident(_ctid(place))}"
        for place, of in enumerate(source.tables)
    )
    # A comment at its end would hide the parenthesis.
    return f"({_SELECT.sub(f'SELECT {hidden}, ', source.sql, count=1)}\n) AS {alias}"


def unseen(source: SourceTable, mark: HighWaterMark, alias: str, places: Sequence[int] | None = None) -> str:
    """SQL that is true of a row that changed since the mark; of a query, in one of its tables at `places`."""
    if not isinstance(source, SourceQuery):
        return mark.unseen(alias)
    tests = [mark.unseen(alias, _xmin(place)) for place in (range(len(source.tables)) if places is None else places)]
    # A side that is not there has no transaction.
    return f"(({' OR '.join(tests)}) IS TRUE)"


def page(source: SourceTable, alias: str, place: int = 0) -> str:
    """The place of the row in its table, or in the table at `place` of a query."""
    return f"{alias}.{ident(_ctid(place))}" if isinstance(source, SourceQuery) else f"{alias}.ctid"


def _xmin(place: int) -> str:
    return f"totesys xmin {place}"


def _ctid(place: int) -> str:
    return f"totesys ctid {place}"
