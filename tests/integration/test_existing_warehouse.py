"""A warehouse that another tool made is loaded where that is sound, and refused with what to do where it is not."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.foreign_warehouse import fill_from, make_foreign_warehouse
from tests.models import shops
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_company, rows, value, verified
from totesys.connection import connect
from totesys.errors import WarehouseMismatch
from totesys.model import MODEL as COMPANY
from totesys.schema import Model
from totesys.triggers import RunsTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_cli.preflight import check_warehouse
from totesys_cli.source_database import create_source
from totesys_load.warehouse_setup import prepare

pytestmark = pytest.mark.postgres

SALES = "SELECT sale_record_id, sale_id, amount FROM warehouse.fact_sale ORDER BY 1"


async def filled(pipeline: Pipeline, model: Model, *, facts: bool = True) -> None:
    """The foreign warehouse, with the source's rows of now by another tool."""
    await make_foreign_warehouse(pipeline.warehouse_dsn, model)
    source, warehouse = connect("The source", pipeline.source_dsn), connect("The warehouse", pipeline.warehouse_dsn)
    async with source as reader, warehouse as writer:
        await fill_from(reader, writer, model, facts=facts)


@pytest.fixture
async def shop(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """A source that takes sales of shops that it does not know, and a foreign warehouse with its first two."""
    source = database()
    async with connect("The source", source) as connection:
        await create_source(connection, shops.MODEL)
    await execute(
        source,
        "ALTER TABLE sale DROP CONSTRAINT sale_shop_id_fkey",
        "INSERT INTO region VALUES (1, 'North', now())",
        "INSERT INTO shop VALUES (1, 'Corner', 1, now())",
        "INSERT INTO ticket VALUES (1, 'paper', now())",
        "INSERT INTO sale VALUES (1, 1, 1, 10, NULL, now()), (2, 1, 1, 20, NULL, now())",
        "INSERT INTO refund VALUES (1, 1, 5, now()), (2, 1, NULL, now())",
    )
    async with Pipeline(shops.MODEL, data_plane, source, database()) as opened:
        await filled(opened, shops.MODEL)
        yield opened


async def sell(pipeline: Pipeline, *sales: tuple[int, int]) -> None:
    for sale, shop in sales:
        await execute(pipeline.source_dsn, f"INSERT INTO sale VALUES ({sale}, {shop}, 1, {sale}, NULL, now())")
    await pipeline.tick()


async def test_rows_of_another_tool_are_the_earlier_versions(library: Pipeline) -> None:
    await filled(library, MODEL)
    await execute(
        library.warehouse_dsn,
        "UPDATE warehouse.dim_book SET title = 'Dune, 1st'",
        "UPDATE warehouse.fact_loan SET fee = 9 WHERE loan_id = 1",
    )
    await library.tick()
    assert await verified(library.source_dsn, library.warehouse_dsn, MODEL)
    versions = "SELECT loan_record_id, loan_id, fee::float FROM warehouse.fact_loan ORDER BY 1"
    assert await rows(library.warehouse_dsn, versions) == [(1, 1, 9), (2, 2, 1.25), (3, 1, 0.5)]
    await library.tick("full")
    await library.load.work(RunsTrigger(from_run=1, to_run=2))
    assert await rows(library.warehouse_dsn, versions) == [(1, 1, 9), (2, 2, 1.25), (3, 1, 0.5)]
    index = "fact_loan USING btree (loan_id, loan_record_id DESC)"
    needed = f"SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%{index}'"
    assert await value(library.warehouse_dsn, needed) == 1


async def test_the_companys_warehouse_of_another_tool_becomes_equal_to_the_source(
    database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    source = await make_company(database())
    async with Pipeline(COMPANY, data_plane, source, database()) as pipeline:
        await filled(pipeline, COMPANY, facts=False)
        await execute(pipeline.warehouse_dsn, "UPDATE warehouse.dim_staff SET location = 'Elsewhere'")
        await pipeline.tick()
        assert await verified(source, pipeline.warehouse_dsn, COMPANY)
        await execute(source, "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id % 3 = 0")
        await pipeline.tick()
        assert await verified(source, pipeline.warehouse_dsn, COMPANY)
        counts = "SELECT count(*), max(sales_record_id) FROM warehouse.fact_sales_order"
        before = await rows(pipeline.warehouse_dsn, counts)
        await pipeline.load.work(RunsTrigger(from_run=1, to_run=2))
        assert await rows(pipeline.warehouse_dsn, counts) == before
        assert await verified(source, pipeline.warehouse_dsn, COMPANY)


async def test_unresolved_rows_are_set_apart_where_references_are_enforced(shop: Pipeline) -> None:
    await sell(shop, (3, 1), (4, 99), (5, 1))
    before = await rows(shop.warehouse_dsn, SALES)
    assert before == [(1, 1, 10), (2, 2, 20), (3, 3, 3), (5, 5, 5)]
    assert [row["sale_id"] for row in await shop.quarantine("fact_sale")] == ["4"]
    await sell(shop, (6, 99))
    await sell(shop, (7, 1))
    await shop.load.work(RunsTrigger(from_run=1, to_run=3))
    assert await rows(shop.warehouse_dsn, SALES) == [*before, (7, 7, 7)]


async def test_a_sequence_that_lags_behind_is_set_forward(library: Pipeline) -> None:
    await filled(library, MODEL)
    await execute(
        library.warehouse_dsn,
        "UPDATE warehouse.fact_loan SET loan_record_id = loan_record_id + 100, fee = 9",
    )
    await library.tick()
    assert await verified(library.source_dsn, library.warehouse_dsn, MODEL)
    assert await value(library.warehouse_dsn, "SELECT max(loan_record_id) FROM warehouse.fact_loan") == 104


LOAN, BOOK = "ALTER TABLE warehouse.fact_loan", "ALTER TABLE warehouse.dim_book"
FUNCTION = "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
REFUSED = {
    f"{LOAN} ALTER COLUMN fee TYPE double precision": "column fact_loan.fee is double precision, not numeric(8,2), "
    'and cannot hold every value exactly: ALTER TABLE "warehouse"."fact_loan" ALTER COLUMN "fee" TYPE numeric(8,2)',
    f"{BOOK} ALTER COLUMN title TYPE varchar(20)": "column dim_book.title is character varying(20), not text",
    f"{BOOK} ALTER COLUMN genre TYPE char(20)": "column dim_book.genre is character(20), not text",
    f"{LOAN} ALTER COLUMN lent_on TYPE timestamptz": "column fact_loan.lent_on is timestamp with time zone, not date",
    f"{LOAN} ALTER COLUMN returned SET NOT NULL": "column fact_loan.returned rejects NULL: "
    'ALTER TABLE "warehouse"."fact_loan" ALTER COLUMN "returned" DROP NOT NULL',
    f"{LOAN} DROP COLUMN fee": "column fact_loan.fee is missing: add it as numeric(8,2)",
    f"{BOOK} ADD stock int NOT NULL": "column dim_book.stock is not declared and rejects NULL",
    f"{BOOK} DROP COLUMN genre; {BOOK} ADD genre text GENERATED ALWAYS AS ('x') STORED": "column dim_book.genre is "
    'a generated column: ALTER TABLE "warehouse"."dim_book" ALTER COLUMN "genre" DROP EXPRESSION',
    f"{LOAN} ALTER COLUMN loan_record_id DROP DEFAULT": "column fact_loan.loan_record_id has no sequence, "
    "it has no identity and no default",
    f"{LOAN} ALTER COLUMN loan_record_id SET DEFAULT 7": "its default is 7",
    "ALTER SEQUENCE warehouse.fact_loan_loan_record_id_seq CACHE 20": "the sequence "
    "warehouse.fact_loan_loan_record_id_seq of fact_loan may give a later row a lower number",
    f"{LOAN} ADD CONSTRAINT once UNIQUE (loan_id)": "unique index once on fact_loan forbids a second version of a "
    "loan_id: drop it, or its constraint",
    f"{BOOK} ADD CONSTRAINT titles UNIQUE (title)": "unique index titles on dim_book may reject rows",
    f"{LOAN} ADD CONSTRAINT cheap CHECK (fee < 5)": "constraint cheap on fact_loan may reject rows, "
    'CHECK ((fee < (5)::numeric)): ALTER TABLE "warehouse"."fact_loan" DROP CONSTRAINT "cheap"',
    f"{LOAN} ADD CONSTRAINT one EXCLUDE (loan_id WITH =)": "constraint one on fact_loan may reject rows, EXCLUDE",
    f"{FUNCTION}; CREATE TRIGGER eater BEFORE INSERT ON warehouse.fact_loan FOR EACH ROW EXECUTE FUNCTION change()": (
        'trigger eater on fact_loan could change rows: ALTER TABLE "warehouse"."fact_loan" DISABLE TRIGGER "eater"'
    ),
    "CREATE RULE nothing AS ON INSERT TO warehouse.dim_book DO INSTEAD NOTHING": "rule nothing on dim_book could "
    'change what is written: DROP RULE "nothing" ON "warehouse"."dim_book"',
    f"CREATE TABLE shelf (shelf text PRIMARY KEY); {BOOK} ADD FOREIGN KEY (shelf) REFERENCES shelf": "constraint "
    "dim_book_shelf_fkey on dim_book does not match a declared reference, FOREIGN KEY (shelf) REFERENCES shelf(shelf)",
    "CREATE TABLE fine (loan int REFERENCES warehouse.fact_loan)": "foreign keys refer to fact_loan, whose versions "
    "a replay replaces: drop fine_loan_fkey of fine",
    f"{BOOK} DROP CONSTRAINT dim_book_pkey CASCADE; INSERT INTO warehouse.dim_book VALUES (1, 'a'), (1, 'b')": (
        "dim_book has 1 rows whose book_id is a duplicate or NULL: delete them"
    ),
    "DROP TABLE warehouse.fact_loan; CREATE VIEW warehouse.fact_loan AS SELECT 1 AS loan_id": "fact_loan is a view, "
    "not a table: rename it",
    "CREATE VIEW warehouse.fact_loan_current AS SELECT 1 AS loan_id": "warehouse.fact_loan_current is a view that "
    "load did not make, and load needs the name: rename it",
    "CREATE SCHEMA lending; CREATE VIEW lending.dim_book AS SELECT * FROM warehouse.dim_book WHERE book_id > 1": (
        "lending.dim_book is a view that load did not make, and load needs the name: rename it"
    ),
    f"{LOAN} SET UNLOGGED": "table fact_loan is unlogged, so a crash would empty it: "
    'ALTER TABLE "warehouse"."fact_loan" SET LOGGED',
    "CREATE TABLE more () INHERITS (warehouse.dim_book)": "table dim_book is a partition, a parent or a child",
    "CREATE SCHEMA etl; CREATE TABLE etl.run (run text)": "column etl.run.lake is missing: rename the schema etl, "
    "which load needs for its ledger; column etl.run.run is text, not bigint",
}


async def test_what_cannot_be_loaded_rightly_is_refused_with_what_to_do(database: Callable[[], str]) -> None:
    dsn = database()
    await make_foreign_warehouse(dsn, MODEL)
    await check_warehouse(MODEL, dsn, "warehouse")
    async with connect("The warehouse", dsn) as connection:
        for statement, message in REFUSED.items():
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(statement)
            with pytest.raises(WarehouseMismatch) as raised:
                await prepare(connection, MODEL, "warehouse", dsn)
            assert message in str(raised.value), statement
            await transaction.rollback()


async def test_a_role_without_rights_is_told_each_grant_and_then_loads(
    visitor: str, postgres: ReachablePostgres, library: Pipeline
) -> None:
    warehouse = library.warehouse_dsn
    name = warehouse.rpartition("/")[2]
    await filled(library, MODEL)
    await execute(
        warehouse,
        f"GRANT CREATE ON DATABASE {name} TO {visitor}",
        f"GRANT CREATE ON SCHEMA warehouse TO {visitor}",
        "ALTER TABLE warehouse.dim_book ENABLE ROW LEVEL SECURITY",
        "UPDATE warehouse.fact_loan SET loan_record_id = loan_record_id + 100, fee = 9",
    )
    library.warehouse_dsn = postgres.dsn(name, user=visitor, password=visitor)
    library.restart()
    grants = {
        "this role may not use the schema warehouse": 'GRANT USAGE ON SCHEMA "warehouse" TO visitor',
        "this role may not SELECT, INSERT, UPDATE, DELETE on fact_loan": "GRANT SELECT, INSERT, UPDATE, DELETE "
        'ON "warehouse"."fact_loan" TO visitor',
        "this role may not SELECT, INSERT, UPDATE, DELETE on dim_book": "GRANT SELECT, INSERT, UPDATE, DELETE "
        'ON "warehouse"."dim_book" TO visitor',
        "this role may not use the sequence warehouse.fact_loan_loan_record_id_seq": "GRANT USAGE, UPDATE "
        "ON SEQUENCE warehouse.fact_loan_loan_record_id_seq TO visitor",
    }
    with pytest.raises(WarehouseMismatch, match="dim_book has row-level security that applies to this role") as raised:
        await library.tick()
    for problem, grant in grants.items():
        assert f"{problem}: {grant}" in str(raised.value)
    await execute(warehouse, "ALTER TABLE warehouse.dim_book DISABLE ROW LEVEL SECURITY", *grants.values())
    await execute(warehouse, f"REVOKE UPDATE ON SEQUENCE warehouse.fact_loan_loan_record_id_seq FROM {visitor}")
    with pytest.raises(WarehouseMismatch, match="is behind the greatest loan_record_id of fact_loan, 102"):
        await library.catch_up()
    await execute(warehouse, "SELECT setval('warehouse.fact_loan_loan_record_id_seq', 102)")
    await library.catch_up()
    assert await verified(library.source_dsn, warehouse, MODEL)
    await execute(warehouse, f"DROP OWNED BY {visitor} CASCADE")
