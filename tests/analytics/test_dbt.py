"""analytics/dbt: with an analyst's login, dbt finds the warehouse as declared, and it finds planted faults."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.analytics.conftest import Warehouse
from tests.sources import execute, rows
from totesys.model import MODEL

ROOT = Path(__file__).parents[2]
DBT = ROOT / "analytics" / ".venv" / "bin" / "dbt"
PROJECT = ROOT / "analytics" / "dbt"
RELATIONS = "SELECT relnamespace, relname FROM pg_class WHERE relkind IN ('r', 'v', 'm') ORDER BY 1, 2"


class Dbt:
    """dbt as analysts call it, with what it writes in a folder of the test."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder

    def __call__(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """The results that dbt writes of a command, after it ended with `code`."""
        folders = ("--target-path", str(self._folder), "--log-path", str(self._folder))
        ended = subprocess.run(
            [
                str(DBT),
                "--no-use-colors",
                *arguments,
                "--project-dir",
                str(PROJECT),
                "--profiles-dir",
                str(PROJECT),
                *folders,
            ],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == code, ended.stdout + ended.stderr
        assert "deprecat" not in ended.stdout.lower(), ended.stdout
        name = "sources.json" if arguments[0] == "source" else "run_results.json"
        results: dict[str, Any] = json.loads((self._folder / name).read_text())
        return results

    def failures(self, *arguments: str) -> set[str]:
        """The tests that fail, or warn."""
        results = self("build", *arguments, code=1)["results"]
        return {one["unique_id"].split(".")[2] for one in results if one["status"] in ("fail", "warn")}


@pytest.fixture
def dbt(warehouse: Warehouse, tmp_path: Path) -> Dbt:
    return Dbt(warehouse.environment, tmp_path)


async def test_dbt_build_is_green_and_writes_nothing(dbt: Dbt, warehouse: Warehouse) -> None:
    before = await rows(warehouse.owner, RELATIONS)
    results = dbt("build")["results"]
    statuses = {one["status"] for one in results}
    tests = [one for one in results if one["unique_id"].startswith("test.")]
    assert statuses <= {"pass", "no-op"}
    assert len(tests) > sum(len(table.columns) for table in MODEL.tables)
    assert await rows(warehouse.owner, RELATIONS) == before


def test_dbt_calls_a_fresh_warehouse_fresh(dbt: Dbt) -> None:
    results = dbt("source", "freshness")["results"]
    assert {one["unique_id"].split(".")[2] for one in results} == {*MODEL.stars, "etl"}
    assert {one["status"] for one in results} == {"pass"}


@pytest.mark.parametrize(("age", "status", "code"), [("31 minutes", "warn", 0), ("25 hours", "error", 1)])
async def test_dbt_calls_a_stale_warehouse_stale(
    age: str, status: str, code: int, dbt: Dbt, warehouse: Warehouse
) -> None:
    shift = f"UPDATE etl.run SET snapshot_time = snapshot_time {{}} interval '{age}'"
    await execute(warehouse.owner, shift.format("-"))
    try:
        results = dbt("source", "freshness", "--select", "source:sales", code=code)["results"]
        assert {one["status"] for one in results} == {status}
    finally:
        await execute(warehouse.owner, shift.format("+"))


async def test_dbt_finds_a_missing_dimension_row_an_unknown_label_and_a_null(dbt: Dbt, warehouse: Warehouse) -> None:
    await execute(
        warehouse.owner,
        "CREATE TABLE kept AS SELECT * FROM warehouse.dim_payment_type",
        "UPDATE warehouse.dim_payment_type SET payment_type_name = 'GIFT' WHERE payment_type_id = 1",
        "DELETE FROM warehouse.dim_payment_type WHERE payment_type_id = 3",
        "ALTER TABLE warehouse.dim_payment_type ALTER payment_type_name DROP NOT NULL",
        "UPDATE warehouse.dim_payment_type SET payment_type_name = NULL WHERE payment_type_id = 2",
    )
    try:
        found = dbt.failures("--select", "source:payments")
        assert {name.split("_payments_")[0] for name in found} == {
            "source_relationships",
            "source_accepted_values",
            "source_not_null",
        }
    finally:
        await execute(
            warehouse.owner,
            "TRUNCATE warehouse.dim_payment_type",
            "INSERT INTO warehouse.dim_payment_type SELECT * FROM kept",
            "ALTER TABLE warehouse.dim_payment_type ALTER payment_type_name SET NOT NULL",
            "DROP TABLE kept",
        )


async def test_dbt_finds_a_version_that_is_there_twice(dbt: Dbt, warehouse: Warehouse) -> None:
    view, versions = "sales.fact_sales_order_current", "SELECT * FROM sales.fact_sales_order"
    ((query,),) = await rows(warehouse.owner, f"SELECT pg_get_viewdef('{view}'::regclass)")
    await execute(warehouse.owner, f"CREATE OR REPLACE VIEW {view} AS {versions} UNION ALL {versions}")
    try:
        found = dbt.failures("--select", "source:sales.fact_sales_order_current")
        assert {name.removeprefix("source_unique_sales_fact_sales_order_current_") for name in found} == {
            "sales_order_id",
            "sales_record_id",
        }
    finally:
        await execute(warehouse.owner, f"CREATE OR REPLACE VIEW {view} AS {query}")
