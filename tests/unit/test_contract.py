"""A source that is not as declared is noticed before a run, with every difference."""

from totesys.model import MODEL
from totesys_ingest.contract import Comparison, compare

DECLARED = {table.name: {column.name: column.type.postgres for column in table.columns} for table in MODEL.sources}
TABLE = MODEL.sources[0]
KEY, COLUMN = TABLE.column(TABLE.key), TABLE.columns[-1]


def without(name: str) -> dict[str, str]:
    return {column: kind for column, kind in DECLARED[TABLE.name].items() if column != name}


def test_the_declared_source_differs_in_nothing() -> None:
    assert compare(MODEL.sources, DECLARED) == Comparison((), ())


def test_a_missing_table_is_named() -> None:
    catalog = {name: columns for name, columns in DECLARED.items() if name != TABLE.name}
    assert compare(MODEL.sources, catalog).breaking == (f"table {TABLE.name} is missing",)


def test_missing_and_retyped_columns_are_all_named() -> None:
    catalog = {**DECLARED, TABLE.name: {**without(COLUMN.name), KEY.name: "bigint"}}
    assert compare(MODEL.sources, catalog).breaking == (
        f"column {TABLE.name}.{KEY.name} is bigint, declared as {KEY.type.postgres}",
        f"column {TABLE.name}.{COLUMN.name} is missing",
    )


def test_a_new_column_breaks_nothing() -> None:
    catalog = {**DECLARED, TABLE.name: {**DECLARED[TABLE.name], "colour": "text"}}
    assert compare(MODEL.sources, catalog) == Comparison((), (f"{TABLE.name}.colour",))


def test_a_renamed_column_is_missing_and_new() -> None:
    catalog = {**DECLARED, TABLE.name: {**without(COLUMN.name), "colour": COLUMN.type.postgres}}
    found = compare(MODEL.sources, catalog)
    assert found == Comparison((f"column {TABLE.name}.{COLUMN.name} is missing",), (f"{TABLE.name}.colour",))


def test_a_table_that_is_not_declared_is_no_matter() -> None:
    assert compare(MODEL.sources, {**DECLARED, "elsewhere": {"it": "text"}}) == Comparison((), ())
