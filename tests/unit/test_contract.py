"""A source that is not as declared is noticed before a run, with every difference."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.models.library import BOOK, LOAN, MODEL
from totesys.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    INTEGER,
    TEXT,
    TIME,
    TIMESTAMP,
    ColumnType,
    enum,
    numeric,
    varchar,
)
from totesys_ingest.source_contract import (
    ContractChanges,
    FoundTable,
    KeyGuards,
    SourceCatalog,
    SourceColumn,
    compare,
)
from totesys_ingest.type_compatibility import FoundType, is_compatible

MOOD = enum("Mood", "fine")
ENUM = FoundType('"Mood"', ("fine",))
COMPATIBLE: dict[ColumnType, tuple[str, ...]] = {
    INTEGER: ("integer", "smallint"),
    BIGINT: ("bigint", "integer", "smallint"),
    BOOLEAN: ("boolean",),
    TEXT: ("text", "character varying", "character varying(9)"),
    varchar(9): ("character varying(9)", "character varying(1)"),
    numeric(8, 2): ("numeric(8,2)", "numeric(7,2)", "numeric(7,1)", "numeric(6,0)", "numeric(4,-2)", "smallint"),
    numeric(38, 9): ("numeric(10,2)", "bigint", "integer"),
    DATE: ("date",),
    TIME: ("time(3) without time zone", "time(0) without time zone"),
    TIMESTAMP: ("timestamp(3) without time zone", "timestamp(0) without time zone"),
    MOOD: ('"Mood"', "text", "character varying", "character varying(2)"),
}
INCOMPATIBLE: dict[ColumnType, tuple[str, ...]] = {
    INTEGER: ("bigint", "numeric(4,0)", "text"),
    BIGINT: ("numeric(10,0)",),
    BOOLEAN: ("integer", "text"),
    TEXT: ("character(9)", "integer", "json", "citext"),
    varchar(9): ("character varying(10)", "character varying", "text", "character(9)"),
    numeric(8, 2): ("numeric", "numeric(8,1)", "numeric(9,2)", "numeric(8,3)", "integer", "double precision", "money"),
    numeric(38, 9): ("numeric(38,8)", "real"),
    DATE: ("timestamp(0) without time zone", "text"),
    TIME: ("time without time zone", "time(0) with time zone", "timestamp(0) without time zone"),
    TIMESTAMP: (
        "timestamp without time zone",
        "timestamp(6) without time zone",
        "timestamp(3) with time zone",
        "date",
        "time(3) without time zone",
    ),
    MOOD: ("character(9)", '"Humour"'),
}


def pairs(types: dict[ColumnType, tuple[str, ...]]) -> Iterable[tuple[ColumnType, str]]:
    return [(declared, found) for declared, all_found in types.items() for found in all_found]


@pytest.mark.parametrize(("declared", "found"), pairs(COMPATIBLE))
def test_a_type_whose_values_are_all_of_the_declared_one_is_compatible(declared: ColumnType, found: str) -> None:
    assert is_compatible(declared, FoundType(found))


@pytest.mark.parametrize(("declared", "found"), pairs(INCOMPATIBLE))
def test_any_other_type_is_not(declared: ColumnType, found: str) -> None:
    assert not is_compatible(declared, FoundType(found))


def test_an_enum_is_text_but_no_varchar() -> None:
    assert is_compatible(TEXT, ENUM)
    assert not is_compatible(varchar(9), ENUM)


def as_declared() -> dict[str, FoundTable]:
    return {
        table.name: FoundTable(
            columns={
                column.name: SourceColumn(FoundType(column.type.postgres, column.type.values or None), column.nullable)
                for column in table.columns
            },
            guards=KeyGuards(unique=((table.only_key,),)),
        )
        for table in MODEL.sources
    }


def changed(table: str, **columns: SourceColumn | None) -> SourceCatalog:
    """The declared source, but for these columns of a table; None is one that is not there."""
    catalog = as_declared()
    together = {**catalog[table].columns, **columns}
    left = {name: column for name, column in together.items() if column is not None}
    return {**catalog, table: replace(catalog[table], columns=left)}


def column(kind: str, *, nullable: bool = False) -> SourceColumn:
    return SourceColumn(FoundType(kind), nullable)


def test_the_declared_source_differs_in_nothing() -> None:
    assert compare(MODEL.sources, as_declared()) == ContractChanges()


def test_all_that_is_missing_or_retyped_is_named_with_what_it_may_be_called_now() -> None:
    catalog = dict(changed("loan", reader=None, fee=column("money"), borrower=column("text"), due=column("date")))
    catalog["books"] = catalog.pop("book")
    assert compare(MODEL.sources, catalog).breaking == (
        "table book is missing (books is not declared: renamed?)",
        "column loan.reader is missing (borrower is not declared: renamed?)",
        "column loan.fee is money, declared as numeric(8,2)",
    )


def test_several_columns_may_be_the_renamed_one() -> None:
    found = compare(MODEL.sources, changed("loan", reader=None, borrower=column("text"), guest=column("text")))
    assert found.drift == ("column loan.reader is missing (borrower, guest are not declared: renamed?)",)


def test_what_is_there_besides_breaks_nothing() -> None:
    catalog = {**changed("loan", due=column("date")), "_prisma_migrations": FoundTable(), "a_view": FoundTable("v")}
    found = compare(MODEL.sources, catalog)
    assert found.breaking == ()
    assert [(change.difference, change.next) for change in found.non_breaking] == [
        ("table _prisma_migrations is not declared", "ingest ignores it"),
        ("column loan.due is not declared", "ingest ignores it"),
    ]


def test_a_key_that_may_be_null_is_none() -> None:
    found = compare(MODEL.sources, changed("loan", loan_id=column("bigint", nullable=True)))
    assert found.drift == ("column loan.loan_id is nullable, declared as the key",)


def guarded(guards: KeyGuards) -> SourceCatalog:
    """The declared source, but for what guards the key of loan."""
    catalog = as_declared()
    return {**catalog, "loan": replace(catalog["loan"], guards=guards)}


@pytest.mark.parametrize(
    ("guards", "difference"),
    [
        (KeyGuards(), "key loan.loan_id has no unique index of its own (nothing is unique)"),
        (
            KeyGuards(unique=(("loan_id", "lent_at"), ("reader",))),
            "key loan.loan_id has no unique index of its own (loan_id + lent_at, reader is unique)",
        ),
        (
            KeyGuards(unique=(("loan_id",),), children=("loan_2025", "archive.loan")),
            "loan has child tables (loan_2025, archive.loan), whose rows no unique index on loan_id covers",
        ),
    ],
)
def test_a_key_that_no_unique_index_enforces_is_none_unless_that_is_declared(
    guards: KeyGuards, difference: str
) -> None:
    assert compare(MODEL.sources, guarded(guards)).drift == (difference,)
    declared = [replace(table, unenforced_key=True) for table in MODEL.sources]
    assert compare(declared, guarded(guards)) == ContractChanges(unguarded=(replace(LOAN, unenforced_key=True),))


def test_a_table_with_foreign_tables_in_it_is_none_of_the_source_whatever_is_declared() -> None:
    catalog = guarded(KeyGuards(unique=(("loan_id",),), foreign=("loan_far",)))
    for unenforced in (False, True):
        found = compare([replace(LOAN, unenforced_key=unenforced), BOOK], catalog)
        assert found.drift == ("loan includes foreign tables (loan_far), whose rows have no transaction id",)


def test_a_column_that_may_no_longer_be_null_is_no_matter() -> None:
    assert compare(MODEL.sources, changed("loan", returned=column("boolean"))) == ContractChanges()


def test_drift_and_rights_that_are_missing_are_told_together() -> None:
    catalog = as_declared()
    barred = {name: replace(found, readable=False) for name, found in catalog[BOOK.name].columns.items()}
    catalog[BOOK.name] = replace(catalog[BOOK.name], readable=False, schema_usable=False, columns=barred)
    catalog[LOAN.name] = replace(catalog[LOAN.name], readable=False, kind="m")
    found = compare(MODEL.sources, catalog)
    assert found.drift == ("loan is a materialized view, declared as a table",)
    assert found.denied == (
        "no USAGE on the schema",
        "SELECT on columns of loan only, not on the table",
        "no SELECT on book",
    )
