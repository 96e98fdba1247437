"""Verification finds whatever the warehouse has otherwise than its source, and nothing else."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from rich.console import Console

from totesys.connection import Connection, connect
from totesys.errors import DatabaseUnavailable, SchemaDrift, WarehouseMismatch
from totesys.model import MODEL
from totesys.schema import Model
from totesys.sql import column_list, ident, qualified
from totesys.table import Column, Dimension, Fact, SourceTable, WarehouseTable
from totesys.types import TEXT
from totesys.verify import Sample, TableComparison, UnequalRow, Verdict, Verification, equal, verify
from totesys_cli.source_database import create_source
from totesys_cli.terminal import to_plain
from totesys_cli.verify.verification_table import to_document, to_table
from totesys_simulation import fill

pytestmark = pytest.mark.postgres

SEED = 20261122
SCHEMA = "warehouse"

# A little more or less of every type that the warehouse has.
CHANGES = {
    "integer": "{} + 1",
    "numeric(10,2)": "{} + 0.01",
    "date": "{} + 1",
    "time(3) without time zone": "{} + interval '1 millisecond'",
    "boolean": "NOT {}",
    "text": "{} || ' '",
    "character varying(3)": "lower({})",
}
COLUMN_OF_TYPE = {
    column.type.postgres: (table, column)
    for table in MODEL.tables
    for column in table.columns
    if column.name != table.only_key and not column.nullable
}


@pytest.fixture
async def dsn(database: Callable[[], str]) -> str:
    """A database that holds a source, and its warehouse made by the reference queries."""
    print(f"seed {SEED}")
    address = database()
    async with connect("The source", address) as connection:
        await create_source(connection, MODEL)
        await fill(connection, seed=SEED, scale=0.02)
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")
        for table in (*MODEL.facts, *MODEL.dimensions):
            await create_table(connection, table)
    return address


async def create_table(connection: Connection, table: WarehouseTable) -> None:
    name = qualified(SCHEMA, table.name)
    columns = ", ".join(f"{ident(column.name)} {column.type.postgres}" for column in table.columns)
    await connection.execute(f"CREATE TABLE {name} ({columns})")
    names = column_list(table.column_names)
    referenced = "" if table.sources else f"WITH referenced (key) AS ({references_to(table)})"
    await connection.execute(
        f"INSERT INTO {name} ({names}) {referenced} SELECT {names} FROM ({table.reference_query}) AS rows"
    )
    if isinstance(table, Fact):
        number, key = ident(table.record_id), ident(table.only_key)
        await connection.execute(f"ALTER TABLE {name} ADD {number} bigserial")
        await connection.execute(f"""
            CREATE VIEW {qualified(SCHEMA, table.current)} AS
            SELECT DISTINCT ON ({key}) * FROM {name} ORDER BY {key}, {number} DESC""")


def references_to(table: WarehouseTable) -> str:
    return " UNION ".join(
        f"SELECT {ident(column.name)} FROM {qualified(SCHEMA, fact.name)}"
        for fact in MODEL.facts
        for column in fact.columns
        if column.references == table.name
    )


async def execute(dsn: str, *statements: str) -> None:
    async with connect("The warehouse", dsn) as connection:
        for statement in statements:
            await connection.execute(statement)


def version_of_payment_1(changes: str) -> str:
    """A statement that adds a version with a few other values, the newest unless they give its record id."""
    return f"""
        INSERT INTO warehouse.fact_payment
        SELECT (jsonb_populate_record(NULL::warehouse.fact_payment, to_jsonb(version)
                || jsonb_build_object('payment_record_id', nextval('warehouse.fact_payment_payment_record_id_seq'))
                || '{changes}')).*
        FROM warehouse.fact_payment AS version WHERE payment_id = 1"""


async def compared(dsn: str) -> dict[str, TableComparison]:
    return {comparison.table: comparison for comparison in await verify(dsn, dsn, MODEL)}


def unequal(comparisons: dict[str, TableComparison]) -> dict[str, TableComparison]:
    return {name: comparison for name, comparison in comparisons.items() if not comparison.is_equal}


async def test_a_warehouse_as_the_oracles_want_it_is_equal(dsn: str) -> None:
    comparisons = await verify(dsn, dsn, MODEL)
    assert [comparison.table for comparison in comparisons] == [table.name for table in MODEL.tables]
    assert equal(comparisons)
    async with connect("The warehouse", dsn) as connection:
        for comparison in comparisons:
            rows = await connection.fetchval(f"SELECT count(*) FROM {qualified(SCHEMA, comparison.table)}")
            assert comparison == TableComparison(comparison.table, compared=rows, equal=rows)
    assert (comparisons.baseline, comparisons.reason) == (None, "the warehouse has no ledger")


@pytest.mark.parametrize("kind", CHANGES)
async def test_a_changed_value_is_found_and_named(dsn: str, kind: str) -> None:
    table, column = COLUMN_OF_TYPE[kind]
    name, key = qualified(SCHEMA, table.name), ident(table.only_key)
    async with connect("The warehouse", dsn) as connection:
        query = f"SELECT {key}::text, {ident(column.name)}::text FROM {name} ORDER BY {key} LIMIT 1"
        first, before = await connection.fetchrow(query) or (None, None)
        change = CHANGES[kind].format(ident(column.name))
        await connection.execute(f"UPDATE {name} SET {ident(column.name)} = {change} WHERE {key}::text = $1", first)
        after = (await connection.fetchrow(query) or (None, None))[1]
    found = unequal(await compared(dsn))
    assert list(found) == [table.name]
    assert found[table.name].differing == 1
    assert found[table.name].samples == (Sample(str(first), column.name, before, after),)


async def test_null_and_the_empty_string_are_two_values(dsn: str) -> None:
    async with connect("The warehouse", dsn) as connection:
        await connection.execute("UPDATE warehouse.dim_location SET district = NULL WHERE location_id = 1")
        await connection.execute("UPDATE address SET district = '' WHERE address_id = 1")
    found = unequal(await compared(dsn))["dim_location"]
    assert found.samples == (Sample("1", "district", "", None),)


async def test_missing_extra_and_doubled_rows_are_found(dsn: str) -> None:
    await execute(
        dsn,
        "DELETE FROM warehouse.fact_payment WHERE payment_id = 2",
        "INSERT INTO warehouse.dim_payment_type VALUES (99, 'BARTER')",
        "INSERT INTO warehouse.dim_staff SELECT * FROM warehouse.dim_staff WHERE staff_id = 1",
    )
    found = unequal(await compared(dsn))
    assert {name: (c.missing, c.extra, c.differing) for name, c in found.items()} == {
        "fact_payment": (1, 0, 0),
        "dim_payment_type": (0, 1, 0),
        "dim_staff": (0, 1, 0),
    }
    assert found["fact_payment"].samples == (Sample("2", "payment_id", "2", None),)
    assert found["dim_payment_type"].samples == (Sample("99", "payment_type_id", None, "99"),)


async def test_only_the_current_version_of_a_fact_counts(dsn: str) -> None:
    await execute(dsn, version_of_payment_1('{"payment_amount": 0.01, "payment_record_id": -1}'))
    assert not unequal(await compared(dsn))


async def test_a_row_that_cannot_become_a_warehouse_row_is_counted_apart(dsn: str) -> None:
    await execute(
        dsn,
        "UPDATE sales_order SET agreed_delivery_date = 'next week' WHERE sales_order_id = 1",
        "UPDATE sales_order SET agreed_delivery_date = '2055-02-30' WHERE sales_order_id = 2",
        "DELETE FROM warehouse.fact_sales_order WHERE sales_order_id = 2",
    )
    comparisons = await compared(dsn)
    assert not unequal(comparisons)
    assert comparisons["fact_sales_order"].quarantined == 2


async def test_a_missing_or_wrong_date_is_found_whether_a_fact_refers_to_it_or_not(dsn: str) -> None:
    await execute(
        dsn,
        version_of_payment_1('{"payment_date": "2055-05-05"}'),
        "DELETE FROM warehouse.dim_date WHERE date_id = '2020-02-29'",
        "UPDATE warehouse.dim_date SET quarter = 5 WHERE date_id = '2020-03-01'",
        "UPDATE payment SET payment_date = '2055-05-05' WHERE payment_id = 1",
    )
    found = unequal(await compared(dsn))
    assert list(found) == ["dim_date"]
    assert found["dim_date"].wrong == (
        UnequalRow("2020-02-29", Verdict.MISSING, ("date_id",)),
        UnequalRow("2020-03-01", Verdict.DIFFERING, ("quarter",)),
        UnequalRow("2055-05-05", Verdict.MISSING, ("date_id",)),
    )
    assert found["dim_date"].samples[0] == Sample("2020-02-29", "date_id", "2020-02-29", None)


async def test_a_date_that_nothing_refers_to_may_be_there_if_it_is_right(dsn: str) -> None:
    await execute(
        dsn,
        "INSERT INTO warehouse.dim_date VALUES ('2055-05-05', 2055, 5, 5, 3, 'Wednesday', 'May', 2)",
        "INSERT INTO warehouse.dim_date VALUES ('2055-05-06', 2055, 5, 6, 3, 'Thursday', 'May', 2)",
    )
    found = unequal(await compared(dsn))
    assert found["dim_date"].samples == (Sample("2055-05-06", "day_of_week", "4", "3"),)


async def test_keys_far_apart_are_compared_all_the_same(dsn: str) -> None:
    await execute(
        dsn,
        """INSERT INTO design SELECT key, now(), 'Félt, "raw"', '', E'two\nlines', now()
           FROM unnest(ARRAY[199999, 200000, 200001, 700000, 2147483647]) AS key""",
        """INSERT INTO warehouse.dim_design SELECT design_id, design_name, file_location, file_name
           FROM design WHERE design_id BETWEEN 199999 AND 2147483646""",
    )
    found = unequal(await compared(dsn))["dim_design"]
    assert (found.missing, found.differing, found.extra) == (1, 0, 0)
    assert found.samples == (Sample("2147483647", "design_id", "2147483647", None),)


async def test_an_empty_warehouse_misses_everything(dsn: str) -> None:
    await execute(dsn, *(f"TRUNCATE {qualified(SCHEMA, table.name)}" for table in MODEL.tables))
    comparisons = await compared(dsn)
    assert all(c.missing == c.compared > 0 and len(c.samples) == min(5, c.compared) for c in comparisons.values())


async def test_a_table_that_is_not_there_is_named(dsn: str) -> None:
    with pytest.raises(WarehouseMismatch, match=r'The warehouse at .*"elsewhere\.fact_sales_order"'):
        await verify(dsn, dsn, MODEL, warehouse_schema="elsewhere")
    with pytest.raises(SchemaDrift, match=r'The source at .*"sales_order"'):
        await verify(dsn, dsn, MODEL, source_schema="elsewhere")


async def test_a_database_that_does_not_answer_is_named(dsn: str) -> None:
    with pytest.raises(DatabaseUnavailable, match="The warehouse at"):
        await verify(dsn, "postgresql://nobody@127.0.0.1:1/none", MODEL)


def test_the_result_is_shown_to_people_and_to_programs() -> None:
    right = TableComparison("dim_right", compared=1_000, equal=1_000)
    wrong = TableComparison("fact_wrong", 2, 1, 1, quarantined=3, samples=(Sample("7", "price", "1.10", None),))
    found = Verification(datetime.now(UTC), None, "the warehouse has no ledger", (right, wrong))
    console = Console(width=80, record=True, file=None, quiet=False, color_system=None)
    with console.capture() as shown:
        console.print(to_table(found))
    assert "1 of 1,002 rows" in shown.get()
    assert 'fact_wrong 7, price: expected "1.10", found NULL' in shown.get()
    assert max(map(len, shown.get().splitlines())) <= 80
    document = json.loads(json.dumps(to_document(found), default=to_plain))
    assert document["equal"] is False
    assert document["tables"][1]["samples"] == [{"key": "7", "column": "price", "expected": "1.10", "found": None}]
    with console.capture() as shown:
        console.print(to_table(Verification(datetime.now(UTC), None, "", (right,))))
    assert "equals the source: 1,000 rows" in shown.get()


async def test_a_key_that_is_no_integer_and_texts_of_every_kind_are_compared(database: Callable[[], str]) -> None:
    label = Dimension(
        "label",
        key="name",
        columns=(Column("name", TEXT), Column("note", TEXT, nullable=True)),
        sources=("tag",),
        build=lambda frame: frame,
        reference_query="SELECT name, note FROM tag",
    )
    tag = SourceTable("tag", key="name", columns=label.columns)
    texts = ["a", "B", "ä", "z", "q\"uo'te", "two\nlines", "", "\\N", "😀", "\ue000"]
    dsn = database()
    async with connect("Both", dsn) as connection:
        await connection.execute("CREATE SCHEMA warehouse; CREATE TABLE warehouse.label (name text, note text)")
        await connection.execute("CREATE TABLE tag (name text, note text)")
        for table in ("tag", "warehouse.label"):
            await connection.executemany(f"INSERT INTO {table} VALUES ($1, $1)", [(text,) for text in texts])
        model = Model("tags", sources=(tag,), tables=(label,))
        (equal_ones,) = await verify(dsn, dsn, model)
        assert equal_ones == TableComparison("label", len(texts), len(texts))
        await connection.execute("UPDATE tag SET note = NULL WHERE name = '😀'")
        await connection.execute("UPDATE warehouse.label SET note = NULL WHERE name = ''")
        await connection.execute("DELETE FROM warehouse.label WHERE name = 'ä'")
        await connection.execute("INSERT INTO warehouse.label VALUES (NULL, 'x'), ('B', 'B')")
        (found,) = await verify(dsn, dsn, model)
    assert [(row.key, row.verdict) for row in found.wrong] == [
        ("", Verdict.DIFFERING),
        ("B", Verdict.EXTRA),
        ("ä", Verdict.MISSING),
        ("😀", Verdict.DIFFERING),
        ("NULL", Verdict.EXTRA),
    ]
