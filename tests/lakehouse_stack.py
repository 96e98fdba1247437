"""A lakehouse beside the test's pipeline, and DuckDB as its reader."""

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
import pytest
from pydantic import SecretStr

from tests.pipeline import Pipeline
from tests.shops_history import History
from totesys.schema import Model
from totesys.sql import ident
from totesys.table import Fact, WarehouseTable
from totesys.triggers import RECONCILE, ExtractTrigger, RunsTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_lakehouse.duckdb_scans import scan_script
from totesys_lakehouse.iceberg_catalog import open_catalog
from totesys_lakehouse.iceberg_store import IcebergStore
from totesys_lakehouse.lakehouse_settings import LakehouseSettings
from totesys_lakehouse.lakehouse_stage import Lakehouse
from totesys_lakehouse.lakehouse_tables import DELETION, LEDGER, LakehouseColumn, lakehouse_tables
from totesys_lakehouse.lakehouse_views import base_script, view_script
from totesys_lakehouse.view_dialects import DUCKDB, Dialect
from totesys_lakehouse.view_queries import Cut, Queries

NAMESPACE = "lakehouse"


def lakehouse_stage(
    pipeline: Pipeline, plane: LocalDataPlane, catalog_dsn: str, *, opened: bool = True, **settings: Any
) -> Lakehouse:
    """The stage over the pipeline's lake, with its tables in a folder of the processed bucket."""
    given = LakehouseSettings.model_construct(
        ingest_bucket=plane.ingest_bucket,
        processed_bucket=plane.processed_bucket,
        queue_url="unused",
        dlq_url="unused",
        lakehouse_catalog_dsn=SecretStr(catalog_dsn),
        **settings,
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in plane.environment().items():
            patch.setenv(name, value)
        stage = Lakehouse(given, pipeline.lake, pipeline.model)
        if opened:
            stage._open()
    return stage


def iceberg_store(plane: LocalDataPlane, catalog_dsn: str, namespace: str = NAMESPACE) -> IcebergStore:
    """The tables, read anew."""
    return IcebergStore(
        open_catalog(catalog_dsn, f"s3://{plane.processed_bucket}/lakehouse", plane.environment()), namespace
    )


class LakehouseReader(Protocol):
    """An engine with the generated views, as of the moment when it was made."""

    dialect: Dialect

    def as_of(self, cut: Cut) -> None:
        """Create the views `…_as_of` of a cut."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The engine's answer."""


class Reader:
    """DuckDB with the generated views, as of the moment when it was made. Runs count from their commit on."""

    dialect = DUCKDB

    def __init__(self, database: duckdb.DuckDBPyConnection, store: IcebergStore, model: Model) -> None:
        self._database = database
        self._queries = Queries(model, DUCKDB, store.namespace, margin_seconds=0)
        for script in (scan_script(store, lakehouse_tables(model)), view_script(self._queries)):
            database.execute(script)

    def as_of(self, cut: Cut) -> None:
        """Create the views `…_as_of` of a cut."""
        self._database.execute(view_script(self._queries, cut))

    def build_bases(self) -> dict[str, pa.Table]:
        """The base tables of all facts, as the generated statements build them now."""
        facts = [table for table in lakehouse_tables(self._queries.model) if isinstance(table.declared, Fact)]
        for table in facts:
            self._database.execute(base_script(self._queries, table))
        names = [self._queries.base_name(table) for table in facts]
        return {name: self._database.sql(f"FROM {NAMESPACE}.{name}").to_arrow_table() for name in names}

    def use_bases(self, bases: Mapping[str, pa.Table]) -> None:
        """Have the current views read base tables that were built earlier."""
        for name, rows in bases.items():
            self._database.register(f"built_{name}", rows)
            self._database.execute(f"CREATE OR REPLACE TABLE {NAMESPACE}.{name} AS FROM built_{name}")
        facts = frozenset(name.removesuffix("_base") for name in bases)
        self._database.execute(view_script(replace(self._queries, bases=facts)))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What DuckDB answers."""
        return self._database.sql(query).fetchall()


@contextmanager
def duckdb_reader(model: Model, plane: LocalDataPlane, catalog_dsn: str) -> Iterator[Reader]:
    """A reader of the tables as they are now."""
    with duckdb.connect() as database:
        for name in ("httpfs", "avro", "iceberg"):
            database.execute(f"LOAD '{_extension(name)}'")
        database.execute(_secret(plane.environment()))
        with closing(iceberg_store(plane, catalog_dsn)) as store:
            yield Reader(database, store, model)


def _extension(name: str) -> Path:
    package = importlib.import_module(f"duckdb_extension_{name}")
    return next(Path(package.__path__[0]).rglob("*.duckdb_extension"))


def _secret(environment: Mapping[str, str]) -> str:
    return (
        f"CREATE SECRET (TYPE s3, KEY_ID '{environment['AWS_ACCESS_KEY_ID']}', "
        f"SECRET '{environment['AWS_SECRET_ACCESS_KEY']}', REGION '{environment['AWS_REGION']}', "
        f"ENDPOINT '{urlsplit(environment['AWS_ENDPOINT_URL']).netloc}', URL_STYLE 'path', USE_SSL false)"
    )


class LakehousePipeline(Pipeline):
    """A pipeline whose runs are also committed to a lakehouse, once `begin` was called."""

    lakehouse: Lakehouse

    def begin(self, catalog_dsn: str, behind: LocalDataPlane | None = None, **settings: Any) -> None:
        """Have a lakehouse from now on; it reaches its tables through the data plane `behind`."""
        self.catalog_dsn = catalog_dsn
        self.namespace = settings.get("lakehouse_namespace", NAMESPACE)
        self._settings = settings
        self.lakehouse = lakehouse_stage(self, behind or self._plane, catalog_dsn, **settings)
        self._open.callback(self.lakehouse.close)

    def begin_unopened(self, catalog_dsn: str) -> None:
        """Have a lakehouse whose catalog cannot be opened."""
        self.lakehouse = lakehouse_stage(self, self._plane, catalog_dsn, opened=False)

    def another_writer(self) -> Lakehouse:
        """A lakehouse service that commits to the same tables and knows nothing yet."""
        stage = lakehouse_stage(self, self._plane, self.catalog_dsn, **self._settings)
        self._open.callback(stage.close)
        return stage

    def store(self, namespace: str | None = None) -> IcebergStore:
        """The tables, read anew."""
        store = iceberg_store(self._plane, self.catalog_dsn, namespace or self.namespace)
        self._open.callback(store.close)
        return store

    async def tick_without_lakehouse(self, mode: Literal["changes", "full", "sweep"] = "changes") -> None:
        """One extraction, and all that follows from it in the warehouse."""
        await self.ingest.work(ExtractTrigger(mode=mode))
        await super().catch_up()

    async def audit(self, namespace: str | None = None) -> None:
        """The ledger has every run once, and the tables have the rows of each run once, and no others."""
        store = self.store(namespace)
        runs = await self.lake.processed_runs()
        everything = 10**8
        assert sorted(store.scan(LEDGER, ("run",), upto=everything)["run"].to_pylist()) == runs
        manifests = {run: await self.lake.processed_manifest(run) for run in runs}
        for table in lakehouse_tables(self.model):
            if table.declared is None:
                continue
            rows = store.scan(table.name, (table.declared.only_key, "run"), upto=everything).to_pylist()
            found = Counter((row[table.declared.only_key], row["run"]) for row in rows)
            assert set(found.values()) <= {1}, table.name
            delivered = {run: m.tables[table.name].rows for run, m in manifests.items() if m and table.name in m.tables}
            counts = Counter(row["run"] for row in rows)
            assert counts.keys() <= delivered.keys()
            assert table.drops_repeats or counts == delivered, table.name
        deleted = store.scan(DELETION, ("table_name", "id", "run"), upto=everything).to_pylist()
        assert len(deleted) == len({(row["table_name"], row["id"], row["run"]) for row in deleted})

    async def catch_up(self, again: RunsTrigger = RECONCILE) -> None:
        await super().catch_up(again)
        await self.lakehouse.work(again)

    async def check(self, reader: LakehouseReader) -> None:
        """Compare the views with the warehouse: the current rows of all tables, and every version of the facts."""
        for table in self.model.tables:
            current = f"{table.name}_current"
            relation = current if isinstance(table, Fact) else table.name
            assert self._shown(reader, table, current) == await self._held(table, relation), table.name
            if isinstance(table, Fact):
                assert self._shown(reader, table, f"{table.name}_history") == await self._held(table, table.name)

    async def check_as_of(self, reader: LakehouseReader, moment: datetime) -> None:
        """Compare the facts as they were at a time of the past with what the warehouse says of it."""
        reader.as_of(Cut(moment=moment.astimezone(UTC).replace(tzinfo=None)))
        for fact in self.model.facts:
            relation = f"{fact.as_of}('{moment.isoformat()}')"
            assert self._shown(reader, fact, f"{fact.name}_as_of") == await self._held(fact, relation), fact.name

    def _shown(self, reader: LakehouseReader, table: WarehouseTable, view: str) -> list[tuple[Any, ...]]:
        columns = ", ".join(reader.dialect.identifier(column.name) for column in self._columns(table))
        return sorted(reader.rows(f"SELECT {columns} FROM {NAMESPACE}_views.{view}"), key=repr)

    async def _held(self, table: WarehouseTable, relation: str) -> list[tuple[Any, ...]]:
        columns = ", ".join(" + ".join(map(ident, column.parts)) for column in self._columns(table))
        rows = await self.rows(f"SELECT {columns} FROM warehouse.{relation}")
        return sorted((tuple(row) for row in rows), key=repr)

    def _columns(self, table: WarehouseTable) -> tuple[LakehouseColumn, ...]:
        (made,) = (one for one in lakehouse_tables(self.model) if one.name == table.name)
        return made.value_columns


class LakehouseHistory(History):
    """A history whose replays reach the lakehouse, too."""

    pipeline: LakehousePipeline

    async def replay(self) -> None:
        runs = [row[0] for row in await self.pipeline.rows("SELECT run FROM etl.run")]
        first, last = sorted(self.random.choices(runs, k=2))
        await self.pipeline.catch_up(RunsTrigger(from_run=first, to_run=last))

    async def check(self, reader: LakehouseReader) -> None:
        """Compare the views with the warehouse, as they are now and as they were at the snapshot of a random run."""
        await self.pipeline.check(reader)
        times = await self.pipeline.rows("SELECT snapshot_time FROM etl.run")
        await self.pipeline.check_as_of(reader, self.random.choice(times)[0])
