"""The pipeline in the test's own process: its three stages over a real lake and two real databases."""

import io
from contextlib import AsyncExitStack
from typing import Any, Literal, Self

import asyncpg
import polars as pl
import pytest
from pydantic import SecretStr

from totesys.lake.store import Lake, open_lake
from totesys.schema import Model
from totesys.triggers import RECONCILE, ExtractTrigger, RunsTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_ingest.ingest_settings import IngestSettings
from totesys_ingest.ingest_stage import Ingest
from totesys_load.load_settings import LoadSettings
from totesys_load.load_stage import Load
from totesys_transform.transform_stage import Transform


class Pipeline:
    """Ingest, transform and load of any model, without the services around them.

    An async context manager: inside it `lake`, `ingest`, `transform` and `load` are there. No message is read
    from the data plane's queues. `ingest_settings` are not validated, so parts and runs can be as small as a page.
    """

    lake: Lake
    ingest: Ingest
    transform: Transform
    load: Load

    def __init__(
        self, model: Model, plane: LocalDataPlane, source_dsn: str, warehouse_dsn: str, **ingest_settings: Any
    ) -> None:
        self.model = model
        self.source_dsn = source_dsn
        self.warehouse_dsn = warehouse_dsn
        self._plane = plane
        self._ingest_settings = ingest_settings
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._plane.environment().items():
                patch.setenv(name, value)
            opened = open_lake(self._plane.ingest_bucket, self._plane.processed_bucket)
            self.lake = await self._open.enter_async_context(opened)
        self.restart()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    def restart(self) -> None:
        """Begin with new stages, which remember nothing."""
        common: dict[str, Any] = {
            "ingest_bucket": self._plane.ingest_bucket,
            "processed_bucket": self._plane.processed_bucket,
            "queue_url": "unused",
            "dlq_url": "unused",
        }
        settings = IngestSettings(**common, source_dsn=SecretStr(self.source_dsn))
        self.ingest = Ingest(settings.model_copy(update=self._ingest_settings), self.lake, self.model)
        self.transform = Transform(self.lake, self.model)
        self.load = Load(LoadSettings(**common, warehouse_dsn=SecretStr(self.warehouse_dsn)), self.lake, self.model)

    def use(self, **ingest_settings: Any) -> None:
        """Change settings of ingest from the next extraction on."""
        self._ingest_settings |= ingest_settings
        self.ingest.settings = self.ingest.settings.model_copy(update=ingest_settings)

    async def tick(self, mode: Literal["changes", "full", "sweep"] = "changes") -> None:
        """One extraction, and all that follows from it."""
        await self.ingest.work(ExtractTrigger(mode=mode))
        await self.catch_up()

    async def catch_up(self, again: RunsTrigger = RECONCILE) -> None:
        """Let transform and load do what is undone, or what `again` names and what is undone."""
        await self.transform.work(again)
        await self.load.work(again)

    async def rows(self, query: str, *parameters: object) -> list[asyncpg.Record]:
        """What the warehouse answers."""
        connection = await asyncpg.connect(self.warehouse_dsn)
        try:
            return await connection.fetch(query, *parameters)
        finally:
            await connection.close()

    async def quarantine(self, table: str) -> list[dict[str, Any]]:
        """The quarantined rows of a warehouse table, of all runs in order: texts, and the list `reasons`."""
        prefix = f"quarantine/{self.model.lake_schema(self.model.table(table))}/{table}/"
        bodies = [await self.lake.processed.get(key) async for key in self.lake.processed.keys(prefix)]
        return [row for body in bodies if body for row in pl.read_parquet(io.BytesIO(body)).to_dicts()]
