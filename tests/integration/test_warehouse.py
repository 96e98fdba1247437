"""A warehouse is made where it is missing, taken as it is where it fits, and refused with each reason where not."""

from collections.abc import Callable

import pytest

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_library, rows, value, verified
from totesys.errors import AccessDenied, SettingsError, WarehouseMismatch
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_cli.preflight import check_warehouse

pytestmark = pytest.mark.postgres

MISSING = "SELECT to_regnamespace('etl') IS NULL"


async def test_every_difference_of_a_warehouse_is_named_and_nothing_is_written(library: Pipeline) -> None:
    await execute(
        library.warehouse_dsn,
        "CREATE SCHEMA warehouse",
        "CREATE TABLE warehouse.dim_book (book_id integer, title varchar(9), shelf text NOT NULL, stock int NOT NULL)",
        """CREATE TABLE warehouse.fact_loan (loan_record_id bigint PRIMARY KEY, loan_id bigint, book_id integer,
           reader text, lent_on date, fee numeric(8,2), returned boolean, note text)""",
    )
    with pytest.raises(WarehouseMismatch) as raised:
        await library.tick()
    for difference in (
        "column dim_book.title is character varying(9), not text",
        "column dim_book.shelf rejects NULL",
        "column dim_book.genre is missing",
        "column dim_book.stock is not declared",
        "column fact_loan.loan_record_id has no sequence",
    ):
        assert difference in str(raised.value)
    assert "note" not in str(raised.value)
    assert await value(library.warehouse_dsn, MISSING)
    assert await value(library.warehouse_dsn, "SELECT count(*) FROM warehouse.fact_loan") == 0
    await execute(library.warehouse_dsn, "DROP SCHEMA warehouse CASCADE")
    await library.catch_up()
    assert await verified(library.source_dsn, library.warehouse_dsn, MODEL)


async def test_a_warehouse_that_has_the_tables_already_is_accepted(library: Pipeline) -> None:
    await execute(
        library.warehouse_dsn,
        "CREATE SCHEMA warehouse",
        "CREATE TABLE warehouse.dim_book (genre text, shelf text, title text, book_id integer, note text)",
        """CREATE TABLE warehouse.fact_loan (loan_id bigint, book_id integer, reader text, lent_on date,
           fee numeric(8,2), returned boolean, loan_record_id bigserial)""",
        "INSERT INTO warehouse.fact_loan SELECT 1, 1, 'Ada', '2026-01-05', 0.50, true",
    )
    await library.tick()
    assert await verified(library.source_dsn, library.warehouse_dsn, MODEL)
    versions = "SELECT loan_record_id, loan_id FROM warehouse.fact_loan ORDER BY 1"
    assert await rows(library.warehouse_dsn, versions) == [(1, 1), (2, 2)]


async def test_a_role_that_may_not_create_schemas_is_told_so(
    visitor: str, postgres: ReachablePostgres, database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    source, warehouse = await make_library(database()), database()
    as_visitor = postgres.dsn(warehouse.rpartition("/")[2], user=visitor, password=visitor)
    async with Pipeline(MODEL, data_plane, source, as_visitor) as pipeline:
        with pytest.raises(AccessDenied, match="does not let this role create its schemas and tables: perm"):
            await pipeline.tick()
        await execute(warehouse, f"GRANT CREATE ON DATABASE {warehouse.rpartition('/')[2]} TO {visitor}")
        await pipeline.catch_up()
    assert await verified(source, warehouse, MODEL)


async def test_a_schema_that_a_star_or_the_ledger_has_is_refused(database: Callable[[], str]) -> None:
    warehouse = database()
    for schema in ("etl", *MODEL.stars):
        with pytest.raises(SettingsError, match=f"The warehouse schema cannot be {schema}"):
            await check_warehouse(MODEL, warehouse, schema)
