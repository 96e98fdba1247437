"""Rows of the company that no warehouse can hold: long ones, whole tables of them, runs that were stuck on them."""

import json
from collections.abc import AsyncIterator, Callable
from io import StringIO

import pytest
from rich.console import Console

from tests.pipeline import Pipeline
from tests.sources import execute, make_company, rows, value
from totesys.model import MODEL
from totesys.representable import ROW_BYTES
from totesys.triggers import ExtractTrigger, RunsTrigger
from totesys.verify import Verdict, Verification, verify
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.options import Databases
from totesys_cli.terminal import Output
from totesys_cli.verify.verify_command import run_verification

MIB = 1024 * 1024
# The other texts of a purchase order: two dates.
DATES = 20
ORDERS = "SELECT purchase_order_id FROM purchase_order ORDER BY 1 LIMIT 2"


@pytest.fixture
async def company(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """A small company, not loaded yet."""
    async with Pipeline(MODEL, data_plane, await make_company(database()), database()) as opened:
        yield opened


async def found(pipeline: Pipeline) -> Verification:
    return await verify(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)


def quarantined(verification: Verification) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """The quarantined rows by table, each with its columns."""
    named = {
        table.table: [(row.key, row.columns) for row in table.apart if row.verdict is Verdict.QUARANTINED]
        for table in verification
    }
    return {table: keys for table, keys in named.items() if keys}


async def test_a_row_of_60_mb_arrives_and_a_longer_one_is_quarantined_with_its_size(company: Pipeline) -> None:
    await company.tick()
    long, longer = [row[0] for row in await rows(company.source_dsn, ORDERS)]
    fill = "UPDATE purchase_order SET item_code = repeat({}, {}) WHERE purchase_order_id = {}"
    await execute(
        company.source_dsn,
        fill.format("E'\"x\\n\\u00e9'", 60 * MIB // 5, long),
        fill.format("'x'", 65 * MIB, longer),
    )
    await company.tick()
    text = "SELECT md5(item_code) FROM {} WHERE purchase_order_id = {}"
    arrived = await rows(company.warehouse_dsn, text.format("purchases.fact_purchase_order_current", long))
    assert arrived == await rows(company.source_dsn, text.format("purchase_order", long))
    (row,) = await company.quarantine("fact_purchase_order")
    assert (row["purchase_order_id"], row["item_code"]) == (str(longer), "x" * 1000)
    size = f"item_code has {65 * MIB} of its {65 * MIB + DATES} bytes"
    assert row["reasons"] == [f"the row is too long: {size}, the limit is {ROW_BYTES}"]
    verification = await found(company)
    assert verification.is_equal
    assert quarantined(verification) == {"fact_purchase_order": [(str(longer), ("item_code",))]}
    await execute(company.source_dsn, fill.format("'x'", 1, longer))
    await company.tick()
    assert await company.rows("SELECT FROM purchases.fact_purchase_order_current WHERE item_code = 'x'")


async def test_facts_wait_for_a_row_of_a_dimension_that_is_too_long(company: Pipeline) -> None:
    await company.tick()
    design, order = 4_000_000, await value(company.source_dsn, "SELECT min(sales_order_id) FROM sales_order")
    await execute(
        company.source_dsn,
        f"INSERT INTO design SELECT {design}, now(), repeat('x', {ROW_BYTES}), 'y', '', now()",
        f"UPDATE sales_order SET design_id = {design} WHERE sales_order_id = {order}",
    )
    await company.tick()
    verification = await found(company)
    assert verification.is_equal
    assert quarantined(verification) == {
        "fact_sales_order": [(str(order), ("design_id",))],
        "dim_design": [(str(design), ("design_name",))],
    }
    await execute(company.source_dsn, f"UPDATE design SET design_name = 'short' WHERE design_id = {design}")
    await company.tick()
    verification = await found(company)
    assert (verification.is_equal, verification.quarantined) == (True, 0)
    placed = "SELECT design_name FROM sales.fact_sales_order_current JOIN sales.dim_design USING (design_id) "
    assert await rows(company.warehouse_dsn, f"{placed} WHERE sales_order_id = {order}") == [("short",)]


async def test_a_table_all_of_whose_rows_are_unreadable_holds_up_nothing(company: Pipeline) -> None:
    await execute(
        company.source_dsn,
        "UPDATE sales_order SET unit_price = 'NaN', last_updated = '-infinity', agreed_payment_date = 'soon'",
        "UPDATE payment SET created_at = '10000-01-01'",
        "UPDATE staff SET created_at = 'infinity', last_updated = '0044-03-15 BC'",
    )
    await company.tick()
    verification = await found(company)
    assert verification.is_equal
    found_rows = {table.table: (table.compared, table.quarantined) for table in verification}
    orders, payments = [
        await value(company.source_dsn, f"SELECT count(*) FROM {name}") for name in ("sales_order", "payment")
    ]
    assert (found_rows["fact_sales_order"], found_rows["fact_payment"]) == ((0, orders), (0, payments))
    # No warehouse column says when a member of staff was written.
    assert found_rows["dim_staff"] == (await value(company.source_dsn, "SELECT count(*) FROM staff"), 0)
    reasons = [
        'last_updated is not a valid timestamp: "-infinity"',
        'unit_price is not a valid number: "NaN"',
        'agreed_payment_date is not a valid date: "soon"',
    ]
    assert [row["reasons"] for row in await company.quarantine("fact_sales_order")] == [reasons] * orders
    await execute(
        company.source_dsn,
        "UPDATE sales_order SET unit_price = 1, last_updated = now(), agreed_payment_date = '2024-02-29'",
        "UPDATE payment SET created_at = now()",
    )
    await company.tick()
    verification = await found(company)
    assert (verification.is_equal, verification.quarantined) == (True, 0)


async def test_a_run_that_an_earlier_release_could_not_read_is_done_by_the_next(company: Pipeline) -> None:
    await company.tick()
    spoil = (
        "UPDATE sales_order SET unit_price = {} WHERE sales_order_id = (SELECT min(sales_order_id) FROM sales_order)"
    )
    for price in ("'NaN'", "3.14"):
        await execute(
            company.source_dsn, spoil.format(price), f"UPDATE staff SET last_updated = 'infinity', last_name = {price}"
        )
        await company.ingest.work(ExtractTrigger())
    assert await company.lake.processed_runs() == [1]
    company.restart()
    assert company.transform.default_trigger is not None
    await company.transform.work(company.transform.default_trigger)
    assert await company.lake.processed_runs() == [1, 2, 3]
    assert len(await company.quarantine("fact_sales_order")) == 1
    await company.load.work(company.load.default_trigger or RunsTrigger())
    verification = await found(company)
    assert (verification.is_equal, verification.quarantined) == (True, 0)


async def test_a_sweep_a_repair_and_a_replay_leave_a_quarantined_row_where_it_is(company: Pipeline) -> None:
    await company.tick()
    order = await value(company.source_dsn, "SELECT min(sales_order_id) FROM sales_order")
    await execute(
        company.source_dsn,
        f"UPDATE sales_order SET unit_price = 'NaN' WHERE sales_order_id = {order}",
        "INSERT INTO sales_order SELECT (jsonb_populate_record(NULL::sales_order, to_jsonb(one) || "
        f'\'{{"sales_order_id": -{order}, "unit_price": "NaN"}}\')).* '
        f"FROM sales_order AS one WHERE sales_order_id = {order}",
    )
    await company.tick()
    wanted = {"fact_sales_order": [(str(key), ("unit_price",)) for key in (-order, order)]}
    await company.tick("sweep")
    assert quarantined(await found(company)) == wanted
    await company.ingest.work(ExtractTrigger(mode="repair", keys={"sales_order": (order, -order)}))
    await company.catch_up(RunsTrigger(from_run=1, to_run=2))
    verification = await found(company)
    assert verification.is_equal
    assert quarantined(verification) == wanted
    # The version of before stays the current one.
    current = f"SELECT sales_order_id FROM sales.fact_sales_order_current WHERE sales_order_id IN (-{order}, {order})"
    assert await rows(company.warehouse_dsn, current) == [(order,)]


async def test_quarantined_rows_are_named_and_count_only_if_asked(company: Pipeline) -> None:
    await execute(company.source_dsn, "UPDATE sales_order SET unit_price = 'NaN' WHERE sales_order_id IN (3, 4)")
    await company.tick()
    databases = Databases(company.source_dsn, company.warehouse_dsn)
    shown, document = StringIO(), StringIO()
    assert await run_verification(Output(console=Console(file=shown, width=200)), databases)
    assert "The warehouse equals the source, except 2 quarantined rows: " in shown.getvalue()
    assert not await run_verification(Output(json=True, console=Console(file=document)), databases, strict=True)
    said = json.loads(document.getvalue())
    assert (said["equal"], said["quarantined"]) == (True, 2)
    (fact,) = [table for table in said["tables"] if table["table"] == "fact_sales_order"]
    assert fact["apart"] == [{"key": key, "verdict": "quarantined", "columns": ["unit_price"]} for key in ("3", "4")]
    await execute(company.source_dsn, "UPDATE sales_order SET unit_price = 1 WHERE sales_order_id IN (3, 4)")
    await company.tick()
    assert await run_verification(Output(console=Console(file=StringIO())), databases, strict=True)
