"""A day in the company: a change, a new order, a department that moves, and a transaction that takes its time."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.pipeline import Pipeline
from tests.sources import execute, make_company, rows, value, verified
from totesys.connection import connect
from totesys.model import MODEL
from totesys_cli.local.local_data_plane import LocalDataPlane

pytestmark = pytest.mark.postgres

CHANGED, LATE = 1, 2
DAY = (
    f"UPDATE sales_order SET units_sold = units_sold + 1000, last_updated = now() WHERE sales_order_id = {CHANGED}",
    """INSERT INTO sales_order SELECT 1 + max(sales_order_id) OVER (), now(), now(), design_id, staff_id,
       counterparty_id, 77, unit_price, currency_id, agreed_delivery_date, agreed_payment_date,
       agreed_delivery_location_id
       FROM sales_order LIMIT 1""",
    "UPDATE department SET location = 'Leeds' WHERE department_id = (SELECT min(department_id) FROM staff)",
)
# Its `last_updated` stays as it was: only the transaction tells that the row is new.
LATE_CHANGE = f"UPDATE sales_order SET unit_price = unit_price + 1 WHERE sales_order_id = {LATE}"
STAFF = "SELECT staff_id FROM staff WHERE department_id = (SELECT min(department_id) FROM staff) ORDER BY 1"
IN_LEEDS = "SELECT staff_id FROM sales.dim_staff WHERE location = 'Leeds' ORDER BY 1"
WRITTEN = "SELECT run, table_name, rows_written FROM etl.run_table WHERE run > 1 AND rows_written > 0 ORDER BY 1, 2"
VERSIONS = "SELECT count(*) FROM warehouse.fact_sales_order WHERE sales_order_id = $1"


@pytest.fixture
async def company(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    source = await make_company(database())
    async with Pipeline(MODEL, data_plane, source, database()) as pipeline:
        await pipeline.tick()
        yield pipeline


async def test_a_day_of_changes_arrives_each_at_its_tick_and_nothing_else(company: Pipeline) -> None:
    source, warehouse = company.source_dsn, company.warehouse_dsn
    async with connect("The source", source) as other:
        late = other.transaction()
        await late.start()
        await other.execute(LATE_CHANGE)
        await execute(source, *DAY)
        await company.tick()

        staff = await rows(source, STAFF)
        assert staff
        assert await rows(warehouse, IN_LEEDS) == staff
        assert await value(warehouse, VERSIONS, CHANGED) == 2
        newest = f"SELECT units_sold > 1000 FROM sales.fact_sales_order_current WHERE sales_order_id = {CHANGED}"
        assert await rows(warehouse, newest) == [(True,)]
        assert await rows(warehouse, "SELECT count(*) FROM warehouse.fact_sales_order WHERE units_sold = 77") == [(1,)]
        assert await value(warehouse, VERSIONS, LATE) == 1
        first = [(2, "dim_staff", len(staff)), (2, "fact_sales_order", 2)]
        assert await rows(warehouse, WRITTEN) == first

        await late.commit()
    await company.tick()
    assert await value(warehouse, VERSIONS, LATE) == 2
    assert await rows(warehouse, WRITTEN) == [*first, (3, "fact_sales_order", 1)]
    assert await rows(warehouse, "SELECT run, rows_written FROM etl.run WHERE run > 1 ORDER BY 1") == [
        (2, 2 + len(staff)),
        (3, 1),
    ]
    assert await verified(source, warehouse, MODEL)
    await company.tick()
    last = await company.lake.newest_manifest()
    assert last is not None
    assert last.empty
