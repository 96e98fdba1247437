"""A model with contradictory declarations is refused, and its orders put referenced tables first."""

import sys
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.models import shops, values
from tests.models.shops import DIM_SHOP, DIM_TICKET, FACT_SALE, REGION, SALE, SHOP, TICKET
from totesys.errors import ModelError
from totesys.model import MODEL
from totesys.schema import CONFORMED, Model, load_model, sorted_by_references
from totesys.table import Capture, Column, Dimension, Fact, SourceTable, WarehouseTable
from totesys.types import INTEGER

SOURCES = (REGION, SHOP, TICKET, SALE)
TABLES = (FACT_SALE, DIM_SHOP, DIM_TICKET)
MODELS = pytest.mark.parametrize("model", [MODEL, shops.MODEL, values.MODEL], ids=lambda model: str(model.name))
COLUMN = Column("one", INTEGER)

FAULTS: dict[str, Callable[[], tuple[tuple[SourceTable, ...], tuple[WarehouseTable, ...]]]] = {
    "two tables have the same name": lambda: ((*SOURCES, SHOP), TABLES),
    "sale has no column for its key elsewhere": lambda: (
        (REGION, SHOP, TICKET, replace(SALE, key="elsewhere")),
        TABLES,
    ),
    "region names a column twice": lambda: (
        (replace(REGION, columns=(*REGION.columns, REGION.columns[0])), SHOP, TICKET, SALE),
        TABLES,
    ),
    "dim_shop is built from .'region'., which are not source tables": lambda: ((SHOP, TICKET, SALE), TABLES),
    "dim_shop joins an incremental table": lambda: (
        (replace(REGION, capture=Capture.INCREMENTAL), SHOP, TICKET, SALE),
        TABLES,
    ),
    "fact_sale.shop_id refers to dim_shop, which is not a dimension": lambda: (SOURCES, (FACT_SALE, DIM_TICKET)),
    "fact_sale is a fact without a star": lambda: (SOURCES, (replace(FACT_SALE, star=""), DIM_SHOP, DIM_TICKET)),
    "fact_sale is a fact without .* a record id": lambda: (
        SOURCES,
        (replace(FACT_SALE, record_id=""), DIM_SHOP, DIM_TICKET),
    ),
    "fact_sale is a fact without .* or a source": lambda: (
        SOURCES,
        (replace(FACT_SALE, sources=()), DIM_SHOP, DIM_TICKET),
    ),
    "dim_shop has no build function": lambda: (
        SOURCES,
        (FACT_SALE, replace(DIM_SHOP, build=None), DIM_TICKET),
    ),
    "dim_ticket has no build function or no reference query": lambda: (
        SOURCES,
        (FACT_SALE, DIM_SHOP, replace(DIM_TICKET, reference_query="")),
    ),
    "dim_ticket has no build function": lambda: (SOURCES, (FACT_SALE, DIM_SHOP, replace(DIM_TICKET, sources=()))),
}


def test_a_sound_model_is_accepted() -> None:
    Model("shops", SOURCES, TABLES)


@pytest.mark.parametrize("problem", FAULTS)
def test_a_contradiction_is_refused_with_its_table(problem: str) -> None:
    sources, tables = FAULTS[problem]()
    with pytest.raises(ModelError, match=f"Model broken: {problem}"):
        Model("broken", sources, tables)


@pytest.mark.parametrize("module", ["totesys.no_such_model", "totesys.errors"])
def test_a_module_without_a_model_is_named(module: str) -> None:
    with pytest.raises(ModelError, match=module):
        load_model(module)


def test_a_model_that_is_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("not_a_model")
    module.MODEL = "shops"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "not_a_model", module)
    with pytest.raises(ModelError, match=r"a str, not a totesys\.schema\.Model"):
        load_model("not_a_model")


@MODELS
def test_what_a_fact_refers_to_is_extracted_before_it(model: Model) -> None:
    order = {source.name: place for place, source in enumerate(model.extraction_order)}
    assert set(order) == {source.name for source in model.sources}
    for fact in model.facts:
        for column in fact.columns:
            referenced = model.table(column.references) if column.references else None
            for source in referenced.sources if referenced else ():
                assert order[source] < order[fact.sources[0]], (source, fact.name)


@MODELS
def test_whole_tables_are_extracted_first(model: Model) -> None:
    captures = [source.capture for source in model.extraction_order]
    assert captures == sorted(captures, key=lambda capture: capture is Capture.INCREMENTAL)


@MODELS
def test_a_change_of_any_side_of_a_join_takes_all_its_sides(model: Model) -> None:
    for table in model.tables:
        for source in table.sources:
            assert set(table.sources) <= model.needed_with({source})


def test_a_table_of_one_star_is_in_its_folder_and_a_shared_one_in_another() -> None:
    assert MODEL.lake_schema(MODEL.facts[0]) == MODEL.facts[0].star
    shared = [t for t in MODEL.dimensions if sum(t in members for members in MODEL.stars.values()) > 1]
    assert shared
    assert {MODEL.lake_schema(table) for table in shared} == {CONFORMED}
    assert shops.MODEL.lake_schema(SALE) == shops.MODEL.lake_schema(SHOP) == "sales"
    assert shops.MODEL.lake_schema(TICKET) == CONFORMED


@st.composite
def referring_tables(draw: st.DrawFn) -> list[SourceTable]:
    """Tables in any order, with references without a cycle."""
    names = [f"t{number}" for number in range(draw(st.integers(1, 8)))]
    tables = []
    for place, name in enumerate(names):
        referenced = draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else []
        columns = (COLUMN, *(Column(f"{other}_id", INTEGER, references=other) for other in referenced))
        tables.append(SourceTable(name, columns, key="one"))
    return draw(st.permutations(tables))


@examples(200)
@given(tables=referring_tables())
def test_sorting_puts_each_table_after_those_that_it_refers_to(tables: list[SourceTable]) -> None:
    done: set[str | None] = set()
    ordered = sorted_by_references(tables)
    assert sorted(ordered, key=lambda table: table.name) == sorted(tables, key=lambda table: table.name)
    for table in ordered:
        assert {column.references for column in table.columns if column.references} <= done
        done.add(table.name)


@examples(100)
@given(tables=referring_tables())
def test_sorting_leaves_what_is_in_order_as_it_is(tables: list[SourceTable]) -> None:
    ordered = sorted_by_references(tables)
    assert sorted_by_references(ordered) == ordered


def test_tables_that_refer_to_themselves_or_to_each_other_are_sorted_all_the_same() -> None:
    one = SourceTable("one", (COLUMN, Column("other_id", INTEGER, references="other")), key="one")
    other = SourceTable("other", (COLUMN, Column("one_id", INTEGER, references="one")), key="one")
    own = SourceTable("own", (COLUMN, Column("parent_id", INTEGER, references="own")), key="one")
    assert set(sorted_by_references([one, other, own])) == {one, other, own}


@MODELS
def test_dimensions_and_facts_are_all_tables(model: Model) -> None:
    assert {*model.dimensions, *model.facts} == set(model.tables)
    assert all(isinstance(table, Dimension) for table in model.dimensions)
    assert all(isinstance(table, Fact) for table in model.facts)
