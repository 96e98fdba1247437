"""The tables stay small over many commits, and upkeep changes no row."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import polars as pl
import pyarrow as pa
import pytest

from tests.lakehouse.conftest import fill
from tests.lakehouse_stack import LakehousePipeline, duckdb_reader
from tests.models.library import MODEL
from tests.sources import execute, make_library
from totesys.triggers import RECONCILE
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_lakehouse.iceberg_catalog import open_catalog
from totesys_lakehouse.iceberg_schema import arrow_schema
from totesys_lakehouse.iceberg_store import MOST_SNAPSHOTS, IcebergStore
from totesys_lakehouse.lakehouse_tables import LEDGER, lakehouse_tables
from totesys_lakehouse.table_upkeep import UpkeepRules, maintain

pytestmark = pytest.mark.long

COMMITS = 120
AT_ONCE = UpkeepRules(timedelta(0), timedelta(0))
TABLES = {table.name: table for table in lakehouse_tables(MODEL)}
BOOKS = TABLES["dim_book"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[IcebergStore]:
    """Tables in a folder; every snapshot may be expired at once."""
    catalog = open_catalog(f"sqlite:///{tmp_path}/catalog.sqlite", f"file://{tmp_path}", {"AWS_REGION": "eu-west-2"})
    with closing(IcebergStore(catalog, "lakehouse", keep_snapshots=timedelta(0))) as store:
        store.prepare(lakehouse_tables(MODEL), uuid4())
        yield store


def append_books(store: IcebergStore, run: int) -> None:
    row = {"book_id": 1, "title": f"Edition {run}", "run": run, "snapshot_time": datetime(2026, 1, 1)}  # noqa: DTZ001
    store.append(BOOKS, pa.Table.from_pylist([row], arrow_schema(BOOKS)), run)


def size_bytes(store: IcebergStore) -> int:
    return Path(store.table(BOOKS.name).metadata_location.removeprefix("file://")).stat().st_size


def test_metadata_stays_bounded_however_many_commits_there_are(store: IcebergStore) -> None:
    largest = 0
    for run in range(1, COMMITS + 1):
        append_books(store, run)
        table = store.table(BOOKS.name)
        assert len(table.metadata.snapshots) <= MOST_SNAPSHOTS + 1
        assert len(table.metadata.metadata_log) <= 31
        if run == COMMITS // 2:
            largest = size_bytes(store)
    assert size_bytes(store) < 1.5 * largest
    assert len(table.current_snapshot().manifests(table.io)) < 50  # type: ignore[union-attr]


def test_upkeep_joins_files_and_removes_what_nothing_refers_to(store: IcebergStore, tmp_path: Path) -> None:
    for run in range(1, COMMITS + 1):
        append_books(store, run)
    before = store.scan(BOOKS.name, BOOKS.column_names, upto=COMMITS).sort_by("run")
    folder = tmp_path / "lakehouse" / BOOKS.name
    (folder / "data" / "left-behind.parquet").write_bytes(b"of a commit that failed")

    young = maintain(store, BOOKS, UpkeepRules(timedelta(0), timedelta(days=3)))
    assert young.files_removed == 0
    assert young.files_joined == COMMITS
    done = maintain(store, BOOKS, AT_ONCE)
    assert done.files_removed > COMMITS

    assert store.scan(BOOKS.name, BOOKS.column_names, upto=COMMITS).sort_by("run") == before
    assert len(list((folder / "data").iterdir())) == 1
    assert store.last_run(BOOKS.name) == COMMITS
    append_books(store, COMMITS + 1)
    again = maintain(store, BOOKS, AT_ONCE)
    assert again.files_joined == 0


@pytest.fixture
async def library(
    database: Callable[[], str], data_plane: LocalDataPlane, tmp_path: Path
) -> AsyncIterator[LakehousePipeline]:
    async with LakehousePipeline(MODEL, data_plane, await make_library(database()), database()) as pipeline:
        pipeline.begin(f"sqlite:///{tmp_path}/catalog.sqlite")
        await fill(pipeline)
        yield pipeline


async def test_a_table_that_a_run_does_not_touch_gets_no_commit(library: LakehousePipeline) -> None:
    await library.lakehouse.work(RECONCILE)
    before = {name: library.store().table(name).metadata_location for name in TABLES}
    await execute(library.source_dsn, "UPDATE loan SET fee = fee + 1")
    await library.tick()
    after = {name: library.store().table(name).metadata_location for name in TABLES}
    assert {name for name in TABLES if before[name] != after[name]} == {"fact_loan", LEDGER}


async def test_after_upkeep_every_engine_reads_the_same(
    library: LakehousePipeline, data_plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Polars warns of its own planner, which is another package.
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    await library.lakehouse.work(RECONCILE)
    for _ in range(10):
        await execute(library.source_dsn, "UPDATE loan SET fee = fee + 1")
        await library.tick()
    store = library.store()
    done = [maintain(store, table, AT_ONCE) for table in TABLES.values()]
    assert sum(one.files_joined for one in done) > 0
    await library.audit()
    with duckdb_reader(MODEL, data_plane, library.catalog_dsn) as reader:
        await library.check(reader)

    storage = {**data_plane.credentials.environment(), "AWS_ENDPOINT_URL": data_plane.endpoint_url}
    options = {name.lower(): value for name, value in storage.items()} | {"aws_region": data_plane.region}
    scan = pl.scan_iceberg(store.table("fact_loan"), storage_options={**options, "aws_allow_http": "true"})
    rows = scan.select("loan_id", "run", "fee").collect()
    assert rows.height == store.scan("fact_loan", ("run",), upto=10**8).num_rows
    await execute(library.source_dsn, "UPDATE loan SET fee = fee + 1")
    await library.tick()
    await library.audit()
