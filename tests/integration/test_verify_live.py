"""Verification of a warehouse whose source goes on being written: only what is wrong is called wrong."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta, tzinfo
from typing import Self

import pytest

from tests.models.shops import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_shops, value
from totesys.verify import TableComparison, UnequalRow, Verdict, Verification, verify
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_ingest import open_run
from totesys_load import load_stage
from totesys_transform import run_transform

pytestmark = pytest.mark.postgres


@pytest.fixture
async def shops(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """A source that takes sales of shops that it does not know, and its warehouse as of the first run."""
    source = await make_shops(
        database(),
        "ALTER TABLE sale DROP CONSTRAINT sale_shop_id_fkey",
        "INSERT INTO shop VALUES (2, NULL, 1, now())",
        "INSERT INTO ticket SELECT key, E'\"a\", b\\n' || key, now() FROM generate_series(1, 2000) AS key",
        "INSERT INTO sale SELECT key, 1, key, key, '', now() FROM generate_series(1, 2000) AS key",
        "INSERT INTO refund VALUES (1, 1, NULL, now()), (2, 2, 0, now())",
    )
    async with Pipeline(MODEL, data_plane, source, database()) as opened:
        await opened.tick()
        yield opened


async def found(pipeline: Pipeline) -> Verification:
    return await verify(pipeline.source_dsn, pipeline.warehouse_dsn, pipeline.model)


def table(verification: Verification, name: str) -> TableComparison:
    return next(comparison for comparison in verification if comparison.table == name)


def named(rows: tuple[UnequalRow, ...]) -> list[tuple[str, Verdict, tuple[str, ...]]]:
    return [(row.key, row.verdict, row.columns) for row in rows]


class TwoHoursAhead(datetime):
    """A clock that is wrong."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(hours=2)


async def test_services_whose_clocks_are_wrong_decide_nothing(shops: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (open_run, load_stage, run_transform):
        monkeypatch.setattr(module, "datetime", TwoHoursAhead)
    await execute(shops.source_dsn, "UPDATE sale SET amount = 7 WHERE sale_id = 5")
    await shops.tick()
    monkeypatch.undo()
    await execute(shops.source_dsn, "UPDATE sale SET amount = 8 WHERE sale_id = 5")
    await shops.tick()
    newest = await shops.lake.newest_manifest()
    verification = await found(shops)
    assert verification.is_equal
    assert verification.baseline is not None
    assert newest is not None
    assert verification.baseline.run == newest.run
    await execute(shops.warehouse_dsn, "UPDATE warehouse.fact_sale SET amount = 9 WHERE sale_id = 5 AND amount = 8")
    assert not (await found(shops)).is_equal


async def test_it_says_which_run_the_warehouse_is_as_of(shops: Pipeline) -> None:
    verification = await found(shops)
    assert verification.is_equal
    assert verification.baseline is not None
    assert (verification.baseline.run, verification.reason) == (1, "")
    assert [comparison.compared for comparison in verification] == [2000, 2, 2, 2000]
    assert not any(comparison.wrong or comparison.apart for comparison in verification)


async def test_what_happens_at_the_source_after_the_last_run_is_told_apart(shops: Pipeline) -> None:
    await execute(
        shops.source_dsn,
        "UPDATE sale SET amount = -1 WHERE sale_id IN (3, 1500)",
        "UPDATE sale SET last_updated = last_updated WHERE sale_id = 4",
        "INSERT INTO sale VALUES (9000, 1, 1, 1, NULL, now())",
        "DELETE FROM sale WHERE sale_id = 1700",
        "UPDATE sale SET sale_id = 9001 WHERE sale_id = 1701",
        "UPDATE region SET region_name = 'South'",
        "DELETE FROM refund WHERE ticket_id = 2000",
        "DELETE FROM ticket WHERE ticket_id = 1700",
        "UPDATE sale SET amount = -2 WHERE sale_id = 5",
    )
    verification = await found(shops)
    assert verification.is_equal
    sales = table(verification, "fact_sale")
    assert (sales.compared, sales.changed_since, sales.deleted_since) == (1995, 5, 2)
    assert {row.key for row in sales.apart} == {"3", "5", "1500", "1700", "1701", "9000", "9001"}
    assert table(verification, "dim_shop").changed_since == 2
    assert named(table(verification, "dim_ticket").apart) == [("1700", Verdict.DELETED_SINCE, ("ticket_id",))]
    await shops.tick()
    assert (await found(shops)).is_equal


async def test_what_is_wrong_is_named_while_the_source_is_written(shops: Pipeline) -> None:
    await execute(shops.source_dsn, "UPDATE sale SET amount = -1 WHERE sale_id = 3")
    await execute(
        shops.warehouse_dsn,
        "UPDATE warehouse.fact_sale SET amount = 0, note = NULL WHERE sale_id = 4",
        "DELETE FROM warehouse.fact_sale WHERE sale_id = 2000",
        "INSERT INTO warehouse.fact_sale (sale_id, shop_id, ticket_id, amount, last_updated) "
        "VALUES (5000, 1, 1, 1, now())",
        "UPDATE warehouse.dim_shop SET shop_name = 'unknown' WHERE shop_id = 2",
        "DELETE FROM warehouse.dim_ticket WHERE ticket_id = 7",
    )
    verification = await found(shops)
    assert named(table(verification, "fact_sale").wrong) == [
        ("4", Verdict.DIFFERING, ("amount", "note")),
        ("2000", Verdict.MISSING, ("sale_id",)),
        ("5000", Verdict.EXTRA, ("sale_id",)),
    ]
    assert table(verification, "fact_sale").changed_since == 1
    assert named(table(verification, "dim_shop").wrong) == [("2", Verdict.DIFFERING, ("shop_name",))]
    assert named(table(verification, "dim_ticket").wrong) == [("7", Verdict.MISSING, ("ticket_id",))]


async def test_unresolved_rows_and_rows_that_lack_a_value_are_counted_as_quarantined(shops: Pipeline) -> None:
    await execute(
        shops.source_dsn,
        "INSERT INTO sale VALUES (3000, 99, 1, 1, NULL, now()), (3001, 1, 1, 1, NULL, now())",
        "UPDATE sale SET shop_id = 99 WHERE sale_id = 2",
        "ALTER TABLE sale ALTER amount DROP NOT NULL",
        "UPDATE sale SET amount = NULL WHERE sale_id = 1",
    )
    for _ in range(2):
        verification = await found(shops)
        assert verification.is_equal
        sales = table(verification, "fact_sale")
        assert {row.key for row in sales.apart if row.verdict is Verdict.QUARANTINED} == {"1", "2", "3000"}
        assert sales.quarantined == 3
        await shops.tick()
    # The shop has come, and will with the next run bring its sales to their places.
    await execute(shops.source_dsn, "INSERT INTO shop VALUES (99, 'New', 1, now())")
    sales = table(await found(shops), "fact_sale")
    assert (sales.quarantined, sales.changed_since, sales.wrong) == (1, 2, ())


async def test_a_row_that_the_ledger_says_is_deleted_is_not_one_too_many(shops: Pipeline) -> None:
    await execute(
        shops.warehouse_dsn,
        "INSERT INTO warehouse.dim_ticket VALUES (5000, 'gone')",
        "INSERT INTO etl.deletion SELECT 'dim_ticket', 5000, lake, run, now() FROM etl.run",
    )
    assert table(await found(shops), "dim_ticket") == TableComparison("dim_ticket", 2000, 2000)
    await execute(shops.warehouse_dsn, "UPDATE etl.deletion SET returned_run = 1, returned_at = now()")
    assert table(await found(shops), "dim_ticket").deleted_since == 1


async def test_another_source_is_compared_as_it_is_now(shops: Pipeline) -> None:
    await execute(shops.warehouse_dsn, "UPDATE etl.run SET source = 'another'")
    await execute(shops.source_dsn, "UPDATE sale SET amount = -1 WHERE sale_id = 3")
    verification = await found(shops)
    assert (verification.baseline, table(verification, "fact_sale").differing) == (None, 1)
    assert "the last run is of another" in verification.reason
    await execute(shops.warehouse_dsn, "DELETE FROM etl.run")
    assert (await found(shops)).reason == "the ledger has no complete run"
    assert await value(shops.warehouse_dsn, "SELECT count(*) FROM etl.run_table") == 0
