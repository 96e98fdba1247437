"""The lakehouse shows what the Postgres warehouse shows, run by run."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.lakehouse_stack import LakehousePipeline, duckdb_reader
from tests.sources import execute, make_company
from totesys.model import MODEL
from totesys.verify import verify
from totesys_cli.lakehouse.lakehouse_location import LakehouseLocation
from totesys_cli.lakehouse.warehouse_copy import warehouse_copy
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.warehouse_comparison import compare, content

CHANGES = (
    "UPDATE sales_order SET units_sold = units_sold + 1, last_updated = now() WHERE sales_order_id <= 5",
    "UPDATE address SET city = 'Leeds', last_updated = now() WHERE address_id = 3",
)
MORE = (
    "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id <= 2",
    "DELETE FROM payment WHERE payment_id IN (4, 9)",
)


@pytest.fixture
async def company(
    database: Callable[[], str], data_plane: LocalDataPlane, tmp_path: Path
) -> AsyncIterator[LakehousePipeline]:
    """The company's pipeline with a lakehouse, which has run nothing yet."""
    source = await make_company(database())
    async with LakehousePipeline(MODEL, data_plane, source, database()) as pipeline:
        pipeline.begin(f"sqlite:///{tmp_path}/catalog.sqlite")
        yield pipeline


async def test_the_views_show_what_the_warehouse_has(company: LakehousePipeline, data_plane: LocalDataPlane) -> None:
    await company.tick()
    await execute(company.source_dsn, *CHANGES)
    await company.tick()
    await execute(company.source_dsn, *MORE)
    await company.tick("sweep")

    with duckdb_reader(MODEL, data_plane, company.catalog_dsn) as reader:
        await company.check(reader)
        assert reader.rows("SELECT count(*) FROM lakehouse.deletion") == [(2,)]
        # The calendar came with each run: rows that were there already were not appended again.
        assert reader.rows("SELECT max(run) FROM lakehouse.dim_date") == [(1,)]


async def test_verify_and_compare_find_the_lakehouse_equal_and_name_what_is_not(
    company: LakehousePipeline, data_plane: LocalDataPlane
) -> None:
    await company.tick()
    await execute(company.source_dsn, *CHANGES, *MORE)
    await company.tick("sweep")
    place = LakehouseLocation(company.catalog_dsn, company.namespace)
    async with warehouse_copy(place, MODEL, environment=data_plane.environment()) as copy:
        result = await verify(company.source_dsn, copy, MODEL)
        assert result.is_equal
        assert result.baseline is not None
        assert result.baseline.run == 2
        ours = await content("The copy", copy, "warehouse", MODEL, lambda _: None)
        theirs = await content("The warehouse", company.warehouse_dsn, "warehouse", MODEL, lambda _: None)
        assert [one.table for one in compare(ours, theirs) if not one.equal] == []
