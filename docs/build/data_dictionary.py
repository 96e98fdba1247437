"""docs/warehouse.md, the data dictionary: every table and column of a warehouse, generated from the declarations.

python -m docs.build.data_dictionary FILE [MODEL]
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from totesys.schema import Model, load_model
from totesys.table import Column, Dimension, Fact, Table, WarehouseTable
from totesys.types import Kind

INTRODUCTION = r"""# The warehouse

Every table and column of the warehouse, for analysts. `make docs` generates this page from the declarations; load
writes the same descriptions as comments on its tables and views (`\d+` in psql).

- **Facts** keep every version. Each state of a source row that a run has seen is one row, with a greater version id
  than the state before.
- **`{fact}_current`** has the newest version of each key, without keys that were deleted in the source.
- **`{fact}_as_of(timestamptz)`** returns what `{fact}_current` had at that timestamp.
- **Dimensions** have one row per key, the newest. Old versions of facts join to the current names.
- **Stars** are schemas of views: the facts of a star with everything that belongs to them, and the dimensions that they
  refer to. The tables themselves are in the schema `warehouse`.
- **`etl`** is the ledger: the runs in the warehouse, and the rows that each run wrote.

A run becomes visible as a whole or not at all. `SELECT max(snapshot_time) FROM etl.run WHERE complete` is the time of
the source that you see; while a large extraction is loaded as several runs, some rows are newer. A row that cannot
become a warehouse row, because of an invalid date or a missing value, is quarantined until the source is corrected."""

JOINING = """Each line is a column that joins a fact to a dimension's key. If several columns lead to the same
dimension, join it once for each."""

LEDGER = """## The ledger

- **`etl.run`**: the runs in the warehouse. `snapshot_time` is the time of the source's snapshot, `applied_at` the time
  when the run became visible.
- **`etl.run_table`**: the rows that each run wrote to each table, `rows_written`; for a fact also the range of its
  version ids, `first_record_id` to `last_record_id`.
- **`etl.deletion`**: the ids that were deleted in the source, by `table_name`, from `deleted_at` to `returned_at`.
- **`etl.dimension_key`**: the run that last wrote a dimension's keys, from `first_key` to `last_key`. The keys are
  numbers, days since 1970 for dates, or digests of other keys.
- **`etl.orphan`**: the versions that wait for a dimension row, with the `reasons`.

Runs are numbered per lake: the key of a run is `lake` and `run`."""

# The timestamps of the examples, with their time zone.
THEN, LATER = "2026-03-01 00:00+00", "2026-04-01 00:00+00"

HEADER = ("column", "type", "may be NULL", "description", "source", "refers to")

# How many rows of each side belong to one of the other, at the left and the right end of a line in Mermaid.
VERSIONS = ("}o", "o{")
ONE = ("||", "||")
ONE_OR_NONE = ("|o", "o|")


def to_markdown(model: Model) -> str:
    """The whole page."""
    return "\n\n".join(_sections(model)) + "\n"


def _sections(model: Model) -> Iterator[str]:
    yield from (INTRODUCTION, "## The stars", JOINING)
    for star, tables in model.stars.items():
        yield from (f"### `{star}`", f"{_links(tables)}.", _star_diagram(model, star))
    if model.facts:
        yield _querying_history(model.facts[0])
    yield from (LEDGER, "## The facts")
    yield from (_describe(model, fact) for fact in model.facts)
    yield "## The dimensions"
    yield from (_describe(model, table) for table in model.tables if table not in model.facts)


def _describe(model: Model, table: WarehouseTable) -> str:
    """The section of one table: its grain, its key, its stars and its columns."""
    stars = [star for star, members in model.stars.items() if table in members]
    about = [
        f"- Grain: {table.description[0].lower()}{table.description[1:]}" if table.description else "",
        f"- Key: `{table.key_label}`{f'; of a version: `{table.record_id}`' if isinstance(table, Fact) else ''}",
        f"- Stars: {', '.join(f'`{star}`' for star in stars)}" if stars else "",
    ]
    rows = [_row(model, table, column) for column in table.stored_columns]
    lines = [_line(HEADER), _line("---" for _ in HEADER), *map(_line, rows)]
    return "\n".join([f"### {table.name}", "", *filter(None, about), "", *lines])


def _row(model: Model, table: WarehouseTable, column: Column) -> tuple[str, ...]:
    return (
        f"`{column.name}`",
        column.type.postgres,
        "yes" if column.nullable else "",
        column.description,
        ", ".join(f"`{name}`" for name in model.source_columns(table, column)),
        _link(column.references) if column.references else "",
    )


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _link(name: str) -> str:
    return f"[{name}](#{name})"


def _links(tables: Iterable[Table]) -> str:
    return ", ".join(_link(table.name) for table in tables)


def _star_diagram(model: Model, star: str) -> str:
    """The star as a Mermaid diagram: its facts between its dimensions, with a line for each column that joins them."""
    tables = model.stars[star]
    dimensions = [table for table in tables if isinstance(table, Dimension)]
    # Mermaid draws the table on the left of a line above the one on the right.
    half = len(dimensions) // 2
    lines = [
        _edge(fact, column, dimension, above=number < half)
        for fact in tables
        if isinstance(fact, Fact)
        for number, dimension in enumerate(dimensions)
        for column in fact.columns
        if column.references == dimension.name
    ]
    return "\n".join(["```mermaid", "erDiagram", *lines, "```"])


def _edge(fact: Fact, column: Column, dimension: Dimension, *, above: bool) -> str:
    left, right = ONE_OR_NONE if column.nullable else ONE
    if above:
        return f'    {dimension.name} {left}--{VERSIONS[1]} {fact.name} : "{column.name}"'
    return f'    {fact.name} {VERSIONS[0]}--{right} {dimension.name} : "{column.name}"'


def _querying_history(fact: Fact) -> str:
    """How to query history, with examples that use the fact's own names."""
    name, star, key, version_id, total = fact.name, fact.star, fact.key_label, fact.record_id, _total(fact)
    return f"""## Querying history

The examples use [{name}](#{name}); they work the same way for every fact.

### Which total do you need?

```sql
SELECT (SELECT {total} FROM {star}.{name}) AS all_versions,
       (SELECT {total} FROM {star}.{fact.current}) AS now,
       (SELECT {total} FROM {star}.{name}_as_of('{THEN}')) AS known_then;
```

The three differ:

- `all_versions` counts a key with three versions three times, and deleted keys too. It is rarely the right total; use
  the fact itself to see how its rows changed.
- `now` counts each `{key}` once, by its newest version, without deleted keys.
- `known_then` counts what the warehouse knew at that timestamp: a version counts from the snapshot of the run that
  wrote it, a deletion from the deletion sweep that found it. The result does not change later, unless a version of that
  time had to wait for a dimension row (`etl.orphan`) and has arrived since.

A timestamp without a time zone is in your session's time zone. Before the first run's snapshot there are no rows.

### What changed between two timestamps?

```sql
SELECT {key}, earlier.{version_id} AS version_then, later.{version_id} AS version_later
FROM {star}.{name}_as_of('{THEN}') earlier
FULL JOIN {star}.{name}_as_of('{LATER}') later USING ({key})
WHERE earlier.{version_id} IS DISTINCT FROM later.{version_id};
```

`version_then` is NULL for new keys, `version_later` for deleted keys.

### How did one row change, and when did each version arrive?

```sql
SELECT r.run, r.snapshot_time, r.applied_at, f.*
FROM {star}.{name} f
LEFT JOIN etl.run_table t
       ON t.table_name = '{name}' AND f.{version_id} BETWEEN t.first_record_id AND t.last_record_id
LEFT JOIN etl.run r USING (lake, run)
WHERE f.{key} = 17
ORDER BY f.{version_id};
```

`etl.run_table` has the version ids that each run wrote. The source had this state at `snapshot_time`; the warehouse has
shown it since `applied_at`. Rows that were in the warehouse before its first run have no run. If a row changed several
times between two snapshots, the warehouse has only the last of these states.

### Which keys were deleted, and which came back?

```sql
SELECT id AS {key}, deleted_at, returned_at
FROM etl.deletion
WHERE table_name = '{name}'
ORDER BY deleted_at DESC;
```

`returned_at` is NULL while the key is deleted. A deletion sweep of the source's keys finds deletions, so `deleted_at`
is the time of that sweep: the row was deleted between it and the sweep before. The fact keeps the versions of deleted
keys."""


def _total(fact: Fact) -> str:
    """The sum of the fact's first measure; else the number of rows."""
    for column in fact.columns:
        is_number = column.type.is_integer or column.type.kind is Kind.DECIMAL
        if is_number and column.name not in fact.key_names and not column.references:
            return f"sum({column.name})"
    return "count(*)"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(to_markdown(load_model(*sys.argv[2:] or ["totesys.model"])), encoding="utf-8")
