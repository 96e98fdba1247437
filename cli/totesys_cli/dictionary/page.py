"""The page: how the warehouse is laid out, its stars, how to ask about history, every table."""

from collections.abc import Iterator

from totesys.schema import Model
from totesys_cli.dictionary.diagram import star_diagram
from totesys_cli.dictionary.history import asking_about_history
from totesys_cli.dictionary.tables import describe, link_all

INTRODUCTION = r"""# The warehouse

What each table and each column says, for whoever asks the warehouse. This page is made of the declarations by
`make docs`; load writes the same texts as comments on its tables and views (`\d+` in psql).

- **Facts** keep every version. Each state of a source row that a run has seen is one more row, with a greater
  record id.
- **`{fact}_current`** has the newest version of each key, without those that were deleted in the source.
- **`{fact}_as_of(timestamptz)`** gives what `{fact}_current` had at that moment.
- **Dimensions** have one row a key, the newest. An old version that is joined with them shows their names of
  today.
- **Stars** are schemas of views: a star's facts, with all that belongs to them, and the dimensions that they
  refer to. The tables themselves stand in the schema `warehouse`.
- **`etl`** is the ledger: which runs are in the warehouse, and what each has brought.

A run arrives whole or not at all. `SELECT max(snapshot_time) FROM etl.run WHERE complete` is the moment of the source
that you see; only while a large extraction comes in as several runs, part of it is newer. A row that cannot become one
of the warehouse, because of a date that is none or a value that is missing, waits in quarantine until it is mended in
the source."""

JOINING = """Each line is a column by which a fact is joined with a dimension's key. Where several lead to the same
dimension, join it once for each."""

LEDGER = """## The ledger

- **`etl.run`** has the runs that are in the warehouse: `snapshot_time` is when the source looked like that,
  `applied_at` since when it is to be seen.
- **`etl.run_table`** has what each run brought to each table: `rows_written`, and of a fact the record ids of its
  versions, `first_record_id` to `last_record_id`.
- **`etl.deletion`** has the ids that were no more in the source, of each `table_name`: from `deleted_at` to
  `returned_at`.
- **`etl.dimension_key`** has the run that brought a dimension's keys last, from `first_key` to `last_key`: numbers, the
  days of dates since 1970, or digests of other keys.
- **`etl.orphan`** has the versions that wait for a row of a dimension, with the `reasons`.

Runs are counted for each lake: `lake` and `run` together are a run's key."""


def to_markdown(model: Model) -> str:
    """The whole page."""
    return "\n\n".join(_sections(model)) + "\n"


def _sections(model: Model) -> Iterator[str]:
    yield INTRODUCTION
    yield "## The stars"
    yield JOINING
    for star, tables in model.stars.items():
        yield f"### `{star}`"
        yield f"{link_all(tables)}."
        yield star_diagram(model, star)
    if model.facts:
        yield asking_about_history(model.facts[0])
    yield LEDGER
    yield "## The facts"
    for fact in model.facts:
        yield describe(model, fact)
    yield "## The dimensions"
    for table in model.tables:
        if table not in model.facts:
            yield describe(model, table)
