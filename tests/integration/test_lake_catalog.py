"""What the catalog says of the lake is what the pipeline writes."""

import io
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.pipeline import Pipeline
from tests.sources import execute, make_company
from totesys.lake.keys import RUNS, run_folder
from totesys.model import MODEL
from totesys.types import Kind
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_infra.glue_catalog import CatalogTable, catalog

PAGE = Path(__file__).parents[2] / "docs" / "lake.md"
CURRENT, AS_OF_RUN_2, VERSIONS = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
TABLES = {table.name: table for table in catalog(MODEL)}
# An object that no manifest names, as transform leaves it when it is killed.
ORPHAN = f"sales/fact_sales_order/{run_folder(9)}/part-00000.parquet"


@pytest.fixture
async def pipeline(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    source = await make_company(database())
    async with Pipeline(MODEL, data_plane, source, database()) as pipeline:
        await pipeline.tick()
        await execute(source, "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id <= 5")
        await pipeline.tick()
        await execute(
            source,
            "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id <= 2",
            "UPDATE sales_order SET agreed_payment_date = 'never' WHERE sales_order_id = 7",
        )
        await pipeline.tick()
        yield pipeline


async def bodies(pipeline: Pipeline, prefix: str) -> dict[str, bytes]:
    """The objects below a prefix of the processed bucket."""
    found = {key: await pipeline.lake.processed.get(key) async for key in pipeline.lake.processed.keys(prefix)}
    return {key: body for key, body in found.items() if body is not None}


def hive(of_type: pa.DataType) -> str | None:
    """How Hive calls the type of a column that a file has."""
    if pa.types.is_decimal(of_type):
        return f"decimal({of_type.precision},{of_type.scale})"
    if pa.types.is_list(of_type):
        return f"array<{hive(of_type.value_type)}>"
    names = {"int32": "int", "int64": "bigint", "bool": "boolean", "date32[day]": "date", "timestamp[ms]": "timestamp"}
    return "string" if pa.types.is_string(of_type) or pa.types.is_large_string(of_type) else names.get(str(of_type))


def columns(body: bytes) -> list[tuple[str, str]]:
    schema = pyarrow.parquet.read_schema(io.BytesIO(body))
    return [(field.name, of_type) for field in schema if (of_type := hive(field.type))]


async def test_the_catalog_is_what_the_files_are_and_the_queries_give_what_the_warehouse_has(
    pipeline: Pipeline, data_plane: LocalDataPlane
) -> None:
    bucket = data_plane.processed_bucket
    found: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
    for table in TABLES.values():
        found[table.name] |= await bodies(pipeline, table.prefix)

    for declared in MODEL.tables:
        table = TABLES[declared.name]
        assert found[table.name], table.name
        for key, body in found[table.name].items():
            run = key.removeprefix(table.prefix).split("/")[0].removeprefix("run=")
            assert f"s3://{bucket}/{key}".startswith(table.location_template(bucket).replace("${run}", run))
            assert run == f"{int(run):0{table.projection['projection.run.digits']}}"
            assert columns(body) == [(column.name, column.type) for column in table.columns]
        left_out = set(declared.column_names) - {column.name for column in table.columns}
        assert left_out == {column.name for column in declared.columns if column.type.kind is Kind.TIME}
    quarantined = TABLES["fact_sales_order_quarantine"]
    (body,) = found[quarantined.name].values()
    assert set(columns(body)) <= {(column.name, column.type) for column in quarantined.columns}

    (first, *_) = found["fact_sales_order"].values()
    found["fact_sales_order_all"][ORPHAN] = first
    with duckdb.connect() as database:
        _show(database, bucket, TABLES["fact_sales_order"], found["fact_sales_order"])
        _show(database, bucket, TABLES["fact_sales_order_all"], found["fact_sales_order_all"])
        _show_lines(database, bucket, await bodies(pipeline, RUNS))
        of_id = "SELECT sales_order_id, units_sold FROM ({}) ORDER BY sales_order_id"
        current = database.sql(of_id.format(CURRENT)).fetchall()
        as_of_run_2 = dict(database.sql(of_id.format(AS_OF_RUN_2)).fetchall())
        versions = database.sql(VERSIONS).fetchall()
    warehouse = await pipeline.rows(
        "SELECT sales_order_id, units_sold FROM warehouse.fact_sales_order_current ORDER BY sales_order_id"
    )
    assert current == [tuple(row) for row in warehouse]
    written = await pipeline.rows(
        "SELECT sales_order_id, count(*) FROM warehouse.fact_sales_order GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    assert versions == [tuple(row) for row in written]
    newest = dict(current)
    assert [newest[key] - as_of_run_2[key] for key in (1, 2, 3)] == [1, 1, 0]


def _show(database: duckdb.DuckDBPyConnection, bucket: str, table: CatalogTable, found: dict[str, bytes]) -> None:
    """Show files as a table of the catalog: its columns alone, and the run or the path of each row."""
    names = [column.name for column in table.columns]
    shown = []
    for key, body in found.items():
        rows = pyarrow.parquet.read_table(io.BytesIO(body), columns=names)
        run = int(key.split("run=")[1].split("/")[0])
        of_row, value = ("run", run) if table.by_run else ("$path", f"s3://{bucket}/{key}")
        shown.append(rows.append_column(of_row, pa.array([value] * rows.num_rows)))
    database.register(table.name, pa.concat_tables(shown))


def _show_lines(database: duckdb.DuckDBPyConnection, bucket: str, records: dict[str, bytes]) -> None:
    lines = [(line, f"s3://{bucket}/{key}") for key, body in records.items() for line in body.decode().splitlines()]
    table = pa.table({"line": [line for line, _ in lines], "$path": [path for _, path in lines]})
    database.register("record_line", table)
