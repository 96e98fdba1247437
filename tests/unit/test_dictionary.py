"""The data dictionary says what each table and column of the warehouse means, and is what the declarations give."""

import re
from pathlib import Path

import pytest

from docs.build.data_dictionary import to_markdown
from tests.models import library, shops, values
from totesys.model import MODEL
from totesys.schema import Model
from totesys.table import Fact

PAGE = Path(__file__).parents[2] / "docs" / "warehouse.md"
MODELS = pytest.mark.parametrize(
    "model", [MODEL, shops.MODEL, values.MODEL, library.MODEL], ids=lambda model: str(model.name)
)


def test_every_warehouse_table_and_column_has_a_meaning() -> None:
    for table in MODEL.tables:
        assert table.description, table.name
        for column in table.stored_columns:
            assert column.description, f"{table.name}.{column.name}"


def test_every_warehouse_column_of_a_source_is_made_of_declared_source_columns() -> None:
    declared = {f"{source.name}.{name}" for source in MODEL.sources for name in source.column_names}
    for table in MODEL.tables:
        for column in table.columns:
            made_of = MODEL.source_columns(table, column)
            assert set(made_of) <= declared, f"{table.name}.{column.name}"
            assert {name.partition(".")[0] for name in made_of} <= set(table.sources)
            assert bool(made_of) == bool(table.sources), f"{table.name}.{column.name}"


def test_the_page_is_what_the_declarations_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == to_markdown(MODEL), "run `make docs`"


@MODELS
def test_the_page_of_any_model_has_each_table_and_column_and_links_that_lead_somewhere(model: Model) -> None:
    page = to_markdown(model)
    sections = {text.partition("\n")[0]: text for text in page.split("\n### ")}
    for table in model.tables:
        assert re.findall(r"^\| `(\w+)` \|", sections[table.name], re.MULTILINE) == [
            column.name for column in table.stored_columns
        ]
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= set(sections)


@MODELS
def test_a_star_is_drawn_with_each_column_that_joins_it(model: Model) -> None:
    drawings = re.findall(r"```mermaid\nerDiagram\n(.*?)```", to_markdown(model), re.DOTALL)
    assert len(drawings) == len(model.stars)
    for drawing, members in zip(drawings, model.stars.values(), strict=True):
        drawn = re.findall(r'^ +(\w+) [|}o]{2}--[|{o]{2} (\w+) : "(\w+)"$', drawing, re.MULTILINE)
        declared = [
            (table.name, column.references, column.name)
            for table in members
            if isinstance(table, Fact)
            for column in table.columns
            if column.references
        ]
        assert sorted(sorted(line) for line in drawn) == sorted(sorted(line) for line in declared)
