"""The lakehouse's tables follow from the declarations."""

from dataclasses import replace

import pytest

from tests.models.library import MODEL as LIBRARY
from tests.models.shops import MODEL as SHOPS
from totesys.errors import ModelError
from totesys.lake.records import BuiltTable, Part, ProcessedManifest, TableParts
from totesys.model import MODEL
from totesys.table import Column
from totesys.types import TEXT, TIME, timestamp
from totesys_lakehouse.iceberg_schema import iceberg_schema
from totesys_lakehouse.lakehouse_tables import LEDGER, lakehouse_tables
from totesys_lakehouse.run_batches import MOST_RUNS, is_full
from totesys_lakehouse.table_upkeep import FEWEST_FILES, SMALL_BYTES, DataFile, groups_to_join

TABLES = {table.name: table for table in lakehouse_tables(MODEL)}
MANIFEST = {
    "lake": "3ae38263-bca6-4ce6-b375-f600e1f9f1a9",
    "previous": 0,
    "extraction": 1,
    "complete": True,
    "snapshot_time": "2026-11-30T12:00:00Z",
    "finished_at": "2026-11-30T12:00:01Z",
    "seconds": 1.0,
    "quarantine": {},
}


def test_a_time_of_day_becomes_a_timestamp_with_its_date() -> None:
    columns = {column.name: column for column in TABLES["fact_sales_order"].columns}
    assert columns["created_at"].type == timestamp()
    assert columns["created_at"].parts == ("created_date", "created_time")
    assert columns["last_updated_at"].parts == ("last_updated_date", "last_updated_time")
    assert "created_time" not in columns
    assert columns["created_date"].parts == ("created_date",)


def test_a_time_of_day_without_a_date_becomes_a_text() -> None:
    fact = replace(LIBRARY.facts[0], columns=(*LIBRARY.facts[0].columns, Column("opens", TIME)))
    model = replace(LIBRARY, tables=(fact, *LIBRARY.dimensions))
    (made,) = (table for table in lakehouse_tables(model) if table.name == fact.name)
    (opens,) = (column for column in made.columns if column.name == "opens")
    assert opens.type is TEXT


@pytest.mark.parametrize("model", [MODEL, LIBRARY, SHOPS], ids=lambda model: model.name)
def test_every_declared_column_is_held_and_no_type_closes_a_table_to_an_engine(model: type) -> None:
    for table in lakehouse_tables(model):  # type: ignore[arg-type]
        if table.declared is not None:
            assert {part for column in table.columns for part in column.parts} == set(table.declared.column_names)
        types = {str(field.field_type) for field in iceberg_schema(table).fields}
        assert not types & {"time", "timestamptz", "timestamp_ns", "uuid"}


def test_the_ledger_is_committed_last_and_dimensions_before_facts() -> None:
    names = list(TABLES)
    assert names[-1] == LEDGER
    dimensions = [names.index(table.name) for table in MODEL.dimensions]
    assert max(dimensions) < min(names.index(fact.name) for fact in MODEL.facts)


@pytest.mark.parametrize("name", ["run", "snapshot_time", "created_at"])
def test_a_column_whose_name_the_lakehouse_needs_is_refused(name: str) -> None:
    fact = MODEL.facts[0]
    changed = replace(fact, columns=(*fact.columns, Column(name, TEXT)))
    model = replace(MODEL, tables=tuple(changed if table is fact else table for table in MODEL.tables))
    with pytest.raises(ModelError, match=f"{name} of {fact.name}"):
        lakehouse_tables(model)


def manifest(run: int, size: int = 100, **fields: object) -> ProcessedManifest:
    built = BuiltTable(columns=("a",), parts=(Part(key="k", rows=1, bytes=size, crc32="0"),), seconds=0)
    return ProcessedManifest.model_validate({**MANIFEST, "run": run, "tables": {"fact": built}, **fields})


def test_runs_are_committed_together_until_they_are_large_many_or_delete_keys() -> None:
    keys = {"fact": TableParts(columns=("first_key", "last_key"), parts=(), seconds=0)}
    assert not is_full([], manifest(1, 10**9), 1000)
    assert not is_full([manifest(1)], manifest(2), 1000)
    assert is_full([manifest(1, 600)], manifest(2, 600), 1000)
    assert is_full([manifest(1, keys=keys)], manifest(2), 1000)
    assert is_full([manifest(1, left_out=keys)], manifest(2), 1000)
    assert is_full([manifest(run) for run in range(1, MOST_RUNS + 1)], manifest(MOST_RUNS + 1), 10**9)


def test_only_enough_small_neighbours_are_joined() -> None:
    small = [DataFile(1000, run, run) for run in range(1, FEWEST_FILES + 1)]
    large = DataFile(SMALL_BYTES, 5, 5)
    assert list(groups_to_join(small)) == [small]
    assert list(groups_to_join(small[:-1])) == []
    assert list(groups_to_join([*small[:4], large, *small[5:]])) == []
    assert list(groups_to_join(list(reversed(small)))) == [small]
    half = [DataFile(SMALL_BYTES // FEWEST_FILES, run, run) for run in range(1, 2 * FEWEST_FILES + 1)]
    assert [len(group) for group in groups_to_join(half)] == [FEWEST_FILES, FEWEST_FILES]
