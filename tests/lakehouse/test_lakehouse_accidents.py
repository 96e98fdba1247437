"""What goes wrong with the lakehouse is said in one sentence, leaves the warehouse alone, and loses no row."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest
from pyiceberg.types import DateType

from tests.faulty_aws import Fault, FaultyAws, refused
from tests.integration.test_grown_model import DIM_READER, FACT_SHELVING, SHELVED_BOOK, YEARLY_LOAN
from tests.lakehouse.conftest import fill
from tests.lakehouse_stack import NAMESPACE, LakehousePipeline, duckdb_reader
from tests.models.library import BOOK, LOAN, MODEL
from tests.sources import execute, make_library
from totesys.errors import AccessDenied, SettingsError, TotesysError
from totesys.schema import Model
from totesys.triggers import RECONCILE, RunsTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.ports import free_port
from totesys_lakehouse.lakehouse_errors import LakehouseMismatch, LakehouseUnavailable
from totesys_lakehouse.lakehouse_tables import lakehouse_tables

pytestmark = pytest.mark.long


@pytest.fixture
async def library(
    database: Callable[[], str], data_plane: LocalDataPlane, tmp_path: Path
) -> AsyncIterator[LakehousePipeline]:
    """A library with some runs in the warehouse; its lakehouse has none of them yet."""
    async with LakehousePipeline(MODEL, data_plane, await make_library(database()), database()) as pipeline:
        pipeline.begin(f"sqlite:///{tmp_path}/catalog.sqlite")
        await fill(pipeline)
        yield pipeline


async def check(library: LakehousePipeline, plane: LocalDataPlane) -> None:
    """The lakehouse shows what the warehouse has."""
    with duckdb_reader(library.model, plane, library.catalog_dsn) as reader:
        await library.check(reader)


async def refusal(library: LakehousePipeline, kind: type[TotesysError]) -> str:
    """What the lakehouse says when it cannot go on. The warehouse goes on meanwhile."""
    with pytest.raises(kind) as refused:
        await library.lakehouse.work(RECONCILE)
    await execute(library.source_dsn, "UPDATE loan SET fee = fee + 1")
    await library.tick_without_lakehouse()
    message = str(refused.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "before it starts"])
@pytest.mark.parametrize("dropped", [*(table.name for table in lakehouse_tables(MODEL)), "all"])
async def test_a_dropped_table_comes_back_with_all_of_its_rows(
    library: LakehousePipeline, data_plane: LocalDataPlane, dropped: str, running: bool
) -> None:
    await library.lakehouse.work(RECONCILE)
    catalog = library.store().catalog
    for table in lakehouse_tables(MODEL):
        if dropped in (table.name, "all"):
            catalog.drop_table((NAMESPACE, table.name))
    if not running:
        library.begin(library.catalog_dsn)
    await execute(library.source_dsn, "UPDATE loan SET fee = fee + 1", "UPDATE book SET title = 'New'")
    await library.tick("sweep")

    await library.lakehouse.work(RECONCILE)
    await library.audit()
    await check(library, data_plane)


async def test_columns_that_the_model_gains_are_added_and_earlier_rows_have_none(
    library: LakehousePipeline, data_plane: LocalDataPlane
) -> None:
    await library.lakehouse.work(RECONCILE)
    await grow(library, Model("library", sources=MODEL.sources, tables=(SHELVED_BOOK, YEARLY_LOAN)))
    await library.tick()

    await check(library, data_plane)
    with duckdb_reader(library.model, data_plane, library.catalog_dsn) as reader:
        years = reader.rows("SELECT run = 5, lent_in FROM lakehouse.fact_loan WHERE loan_id = 1 ORDER BY run")
    assert years[-1] == (True, 2026)
    assert {year for is_new, year in years if not is_new} == {None}


async def test_tables_that_the_model_gains_are_created_and_filled(
    library: LakehousePipeline, data_plane: LocalDataPlane
) -> None:
    await library.lakehouse.work(RECONCILE)
    await grow(library, Model("library", sources=(BOOK, LOAN), tables=(*MODEL.tables, DIM_READER, FACT_SHELVING)))
    await library.tick()
    await check(library, data_plane)


async def grow(library: LakehousePipeline, model: Model) -> None:
    library.model = model
    library.restart()
    library.begin(library.catalog_dsn)


async def test_a_table_of_somebody_else_is_left_alone(library: LakehousePipeline, data_plane: LocalDataPlane) -> None:
    catalog = library.store().catalog
    catalog.create_namespace(NAMESPACE)
    theirs = catalog.create_table((NAMESPACE, "fact_loan"), pa.schema([pa.field("theirs", pa.int32())]))

    message = await refusal(library, LakehouseMismatch)
    assert message.startswith("The Iceberg table lakehouse.fact_loan was not created by totesys.")
    assert library.store().table("fact_loan").metadata == theirs.metadata

    catalog.rename_table((NAMESPACE, "fact_loan"), (NAMESPACE, "theirs"))
    await library.lakehouse.work(RECONCILE)
    await library.audit()
    await check(library, data_plane)


async def test_the_tables_of_another_lake_are_left_alone(library: LakehousePipeline) -> None:
    library.store().prepare(lakehouse_tables(MODEL), uuid4())
    message = await refusal(library, LakehouseMismatch)
    assert "holds the runs of lake" in message


async def test_a_column_of_another_type_is_refused(library: LakehousePipeline, data_plane: LocalDataPlane) -> None:
    await library.lakehouse.work(RECONCILE)
    store = library.store()
    with store.table("fact_loan").update_schema() as update:
        update.delete_column("returned")
    with store.catalog.load_table((NAMESPACE, "fact_loan")).update_schema() as update:
        update.add_column("returned", DateType())
    library.begin(library.catalog_dsn)
    message = await refusal(library, LakehouseMismatch)
    assert "returned is date and must be boolean" in message

    store.catalog.drop_table((NAMESPACE, "fact_loan"))
    await library.lakehouse.work(RECONCILE)
    await check(library, data_plane)


@pytest.mark.parametrize("dsn", ["postgresql://nobody@127.0.0.1:{port}/none", "sqlite:////nowhere/at/all/catalog"])
async def test_a_catalog_that_does_not_answer_is_waited_for(
    library: LakehousePipeline, data_plane: LocalDataPlane, dsn: str
) -> None:
    right = library.catalog_dsn
    library.begin_unopened(dsn.format(port=free_port()))
    assert "catalog" in await refusal(library, LakehouseUnavailable)
    with pytest.raises(LakehouseUnavailable):
        await library.lakehouse.check()

    library.begin(right)
    await library.lakehouse.work(RECONCILE)
    await check(library, data_plane)


@pytest.mark.parametrize("dsn", ["", "mysql://host/db", "sqlite://", "nonsense"])
async def test_a_catalog_that_there_is_not_is_named(library: LakehousePipeline, dsn: str) -> None:
    library.begin_unopened(dsn)
    assert "TOTESYS_LAKEHOUSE_CATALOG_DSN" in await refusal(library, SettingsError)


async def test_a_bucket_that_is_not_there_is_named(library: LakehousePipeline, data_plane: LocalDataPlane) -> None:
    right = library.catalog_dsn
    library.begin(f"{right}-2", lakehouse_location="s3://no-such-bucket-of-ours/tables")
    assert "no-such-bucket-of-ours" in await refusal(library, SettingsError)

    library.begin(right)
    await library.lakehouse.work(RECONCILE)
    await check(library, data_plane)


@pytest.mark.parametrize("operations", ["S3 *Upload*", "S3 *"])
async def test_a_bucket_that_may_not_be_written_is_named_and_nothing_is_lost(
    library: LakehousePipeline, data_plane: LocalDataPlane, aws: FaultyAws, operations: str
) -> None:
    library.begin(library.catalog_dsn, behind=aws.in_front_of(data_plane))
    await library.lakehouse.work(RunsTrigger())
    await execute(library.source_dsn, "UPDATE loan SET fee = fee + 7")
    await library.tick_without_lakehouse()

    aws.inject(Fault(operations, refused("AccessDenied", 403)))
    assert "refuses access" in await refusal(library, AccessDenied)
    aws.inject()
    await library.lakehouse.work(RECONCILE)
    await library.audit()
    await check(library, data_plane)
