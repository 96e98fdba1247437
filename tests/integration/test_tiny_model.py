"""Another company's model goes through the same three services, unchanged: they know no table and no column."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import httpx
import polars as pl
import pytest

from tests.models.library import DIM_BOOK, FACT_LOAN, MODEL
from tests.pipeline import Pipeline
from tests.processes import LIBRARY, LONGEST_WAIT
from tests.sources import execute, make_library, rows, value, verified
from totesys.log_events import LogEvent
from totesys.schema import Model
from totesys.stage_names import STAGES
from totesys.table import Column, SourceTable
from totesys.types import INTEGER, TEXT
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.service_processes import ServiceEvent, Services, run_services

pytestmark = pytest.mark.postgres


class Library:
    """The running services, with the source and the warehouse."""

    def __init__(self, services: Services, source: str, warehouse: str) -> None:
        self.services = services
        self.source = source
        self.warehouse = warehouse

    async def event(self, service: str, name: str) -> ServiceEvent:
        """Wait for the next log line of a service with this name; none may tell of a failure before."""
        async with asyncio.timeout(LONGEST_WAIT):
            while event := await self.services.events.get():
                assert event.fields.get("level") not in {"warning", "error"}, event
                if (event.service, event.name) == (service, name):
                    return event
        raise AssertionError

    async def tick(self) -> None:
        """Ask ingest for what changed."""
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{self.services.addresses['ingest']}/trigger")
        assert answer.status_code == 202


@pytest.fixture
async def library(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Library]:
    source, warehouse = await make_library(database()), database()
    databases = {"TOTESYS_SOURCE_DSN": source, "TOTESYS_WAREHOUSE_DSN": warehouse}
    async with run_services(data_plane, {**LIBRARY, **databases}, dict.fromkeys(STAGES, 0), None) as services:
        yield Library(services, source, warehouse)


async def test_another_model_runs_on_the_same_services(
    library: Library, data_plane: LocalDataPlane, emulator: Emulator
) -> None:
    await library.tick()
    await library.event("load", LogEvent.RUN_COMPLETED)
    assert await verified(library.source, library.warehouse, MODEL)

    await execute(library.source, "UPDATE loan SET returned = true WHERE loan_id = 2")
    await library.tick()
    done = await library.event("load", LogEvent.RUN_COMPLETED)
    assert done.fields["written"] == {"fact_loan": 1}
    assert await verified(library.source, library.warehouse, MODEL)
    assert await value(library.warehouse, "SELECT count(*) FROM lending.fact_loan WHERE loan_id = 2") == 2

    await library.tick()
    assert (await library.event("ingest", LogEvent.EXTRACTION_COMPLETED)).fields["empty"] is True
    assert await value(library.warehouse, "SELECT count(*) FROM etl.run") == 2

    assert keys(emulator, data_plane.ingest_bucket) == [
        "lending/book/run=00000001/part-00000.csv",
        "lending/loan/run=00000001/part-00000.csv",
        "lending/loan/run=00000002/part-00000.csv",
        "run_number.json",
        "runs/run=00000001/manifest.json",
        "runs/run=00000002/manifest.json",
        "runs/run=00000003/empty.json",
    ]
    assert keys(emulator, data_plane.processed_bucket) == [
        "lending/dim_book/run=00000001/part-00000.parquet",
        "lending/fact_loan/run=00000001/part-00000.parquet",
        "lending/fact_loan/run=00000002/part-00000.parquet",
        "runs/run=00000001/load.json",
        "runs/run=00000001/manifest.json",
        "runs/run=00000002/load.json",
        "runs/run=00000002/manifest.json",
    ]


def build_with_room(book: pl.LazyFrame, room: pl.LazyFrame) -> pl.LazyFrame:
    return book.join(room, left_on="shelf", right_on="letter", how="left")


async def test_a_table_that_is_joined_may_have_no_rows_yet(
    database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    room = SourceTable("room", key="room_id", columns=(Column("room_id", INTEGER), Column("letter", TEXT)))
    in_room = replace(
        DIM_BOOK,
        columns=(*DIM_BOOK.columns, Column("room_id", INTEGER, nullable=True)),
        sources=("book", "room"),
        build=build_with_room,
        reference_query="SELECT book_id, title, shelf, genre, room_id FROM book LEFT JOIN room ON letter = shelf",
    )
    model = Model("rooms", sources=(*MODEL.sources, room), tables=(FACT_LOAN, in_room))
    source = await make_library(database())
    await execute(source, "CREATE TABLE room (room_id integer PRIMARY KEY, letter text NOT NULL)")
    async with Pipeline(model, data_plane, source, database()) as pipeline:
        for change in (
            "UPDATE book SET title = 'Dune Messiah' WHERE book_id = 1",
            "INSERT INTO room VALUES (7, 'A')",
        ):
            await pipeline.tick()
            assert await verified(source, pipeline.warehouse_dsn, model)
            await execute(source, change)
        await pipeline.tick()
        in_rooms = "SELECT book_id, room_id FROM warehouse.dim_book WHERE room_id > 0"
        assert await rows(pipeline.warehouse_dsn, in_rooms) == [(1, 7)]


def keys(emulator: Emulator, bucket: str) -> list[str]:
    return [entry["Key"] for entry in emulator.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
