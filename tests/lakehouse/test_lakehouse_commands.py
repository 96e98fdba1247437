"""`totesys verify --lakehouse`, `compare --lakehouse` and `lakehouse …` on a lakehouse with and without faults."""

import io
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

from tests.lakehouse.conftest import RUNS, fill
from tests.lakehouse_stack import LakehousePipeline
from tests.models.library import MODEL
from tests.sources import make_library
from totesys.errors import TotesysError
from totesys.triggers import RECONCILE
from totesys_cli.lakehouse.lakehouse_checks import compare_lakehouse, verify_lakehouse
from totesys_cli.lakehouse.lakehouse_location import LakehouseLocation
from totesys_cli.lakehouse.maintain_command import run_upkeep
from totesys_cli.lakehouse.view_scripts import ViewOptions, print_bases, print_views
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.options import WarehouseLocation
from totesys_cli.terminal import Output
from totesys_lakehouse.lakehouse_errors import LakehouseMismatch
from totesys_lakehouse.lakehouse_tables import lakehouse_tables

pytestmark = pytest.mark.long

LIBRARY = "tests.models.library"
TABLES = {table.name: table for table in lakehouse_tables(MODEL)}


class Printed(Output):
    """What a command printed as JSON."""

    def __init__(self) -> None:
        super().__init__(json=True, console=Console(file=io.StringIO(), width=200))

    @property
    def document(self) -> Any:
        file = self.console.file
        assert isinstance(file, io.StringIO)
        return json.loads(file.getvalue())


@pytest.fixture
async def library(
    database: Callable[[], str], data_plane: LocalDataPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LakehousePipeline]:
    """A library whose lakehouse has all runs; the environment is that of a user of the local stack."""
    for name, value in data_plane.environment().items():
        monkeypatch.setenv(name, value)
    async with LakehousePipeline(MODEL, data_plane, await make_library(database()), database()) as pipeline:
        pipeline.begin(f"sqlite:///{tmp_path}/catalog.sqlite")
        await fill(pipeline)
        await pipeline.lakehouse.work(RECONCILE)
        yield pipeline


def spoil(library: LakehousePipeline) -> None:
    """Change a fee in the lakehouse, as no run did."""
    store = library.store()
    rows = store.scan("fact_loan", TABLES["fact_loan"].column_names, upto=RUNS, after=1)
    fee = rows.schema.field("fee")
    fees = pa.array([17] * rows.num_rows, fee.type)
    spoilt = rows.set_column(rows.column_names.index("fee"), fee, fees)
    store.replace(TABLES["fact_loan"], spoilt, sorted(set(rows["run"].to_pylist())))


async def test_verify_finds_the_lakehouse_equal_to_the_source_or_names_the_rows(library: LakehousePipeline) -> None:
    location = LakehouseLocation(library.catalog_dsn, library.namespace)
    call = library.source_dsn, "public", LIBRARY, location
    printed = Printed()
    assert await verify_lakehouse(printed, *call, strict=True)
    assert printed.document["equal"]

    spoil(library)
    printed = Printed()
    assert not await verify_lakehouse(printed, *call, strict=False)
    assert "fee" in json.dumps(printed.document)


async def test_compare_finds_the_lakehouse_equal_to_the_warehouse_or_names_the_runs(library: LakehousePipeline) -> None:
    location = LakehouseLocation(library.catalog_dsn, library.namespace)
    warehouse = WarehouseLocation(library.warehouse_dsn, model=LIBRARY)
    printed = Printed()
    assert await compare_lakehouse(printed, warehouse, location)
    assert {one["table"] for one in printed.document["tables"]} >= {"fact_loan", "dim_book", "etl.run", "etl.deletion"}

    spoil(library)
    printed = Printed()
    assert not await compare_lakehouse(printed, warehouse, location)
    (loan,) = (one for one in printed.document["tables"] if one["table"] == "fact_loan")
    assert loan["different_runs"]


async def test_upkeep_prints_what_it_did(library: LakehousePipeline) -> None:
    printed = Printed()
    location = LakehouseLocation(library.catalog_dsn, library.namespace)
    run_upkeep(printed, location, LIBRARY, timedelta(0), timedelta(0))
    assert {one["table"] for one in printed.document["tables"]} == TABLES.keys()


def test_a_catalog_without_the_tables_is_named(library: LakehousePipeline) -> None:
    empty = LakehouseLocation(library.catalog_dsn, "another_namespace")
    with pytest.raises(TotesysError, match="another_namespace"):
        run_upkeep(Printed(), empty, LIBRARY, timedelta(0), timedelta(0))
    library.store().catalog.drop_table((library.namespace, "dim_book"))
    here = LakehouseLocation(library.catalog_dsn, library.namespace)
    with pytest.raises(LakehouseMismatch, match="does not have all Iceberg tables"):
        run_upkeep(Printed(), here, LIBRARY, timedelta(0), timedelta(0))


def test_statements_for_duckdb_show_the_tables_too(
    library: LakehousePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ViewOptions("duckdb", library.namespace, LIBRARY, 5, frozenset())
    print_views(options, None, library.catalog_dsn)
    script = capsys.readouterr().out
    assert "iceberg_scan('s3://" in script
    assert 'CREATE OR REPLACE VIEW "lakehouse_lending"."fact_loan_current"' in script
    print_views(options, 3, None)
    assert '"run" <= 3' in capsys.readouterr().out
    print_bases(options, ["fact_loan"])
    assert 'CREATE OR REPLACE TABLE "lakehouse"."fact_loan_base"' in capsys.readouterr().out
