"""The rental shops of `examples/`: the engine runs another company's model, whatever happens to its source."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Literal

import pytest

from examples.rentals import MODEL, simulation
from examples.rentals.changes import transaction
from examples.rentals.generated_rows import DAYS, OPENING
from tests.command import Command
from tests.examples import rounds
from tests.pipeline import Pipeline
from tests.sources import value, verified
from totesys.connection import connect
from totesys_cli.local.local_data_plane import LocalDataPlane

pytestmark = pytest.mark.postgres

NAME = "examples.rentals"
STEPS = 12
MODES: tuple[Literal["changes", "sweep", "full"], ...] = ("changes", "sweep", "full")


async def make_rentals(dsn: str, *, seed: int = 1, scale: float = 0.02) -> str:
    """The shops' tables with their generated past in the empty database `dsn`; the same DSN."""
    async with connect("The source", dsn) as connection:
        await simulation.create_source(connection)
        await simulation.fill(connection, seed=seed, scale=scale)
    return dsn


@pytest.fixture
async def pipeline(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    source = await make_rentals(database())
    async with Pipeline(MODEL, data_plane, source, database()) as pipeline:
        yield pipeline


async def change(source: str, random: Random, now: datetime, events: int) -> None:
    """One transaction of the shops, which may be rolled back."""
    async with connect("The source", source) as connection:
        sizes = await simulation.sizes(connection)
        await simulation.transact(connection, transaction(random, sizes, now, events), commits=random.random() < 0.9)


async def test_the_shops_write_while_ticks_run_and_a_sweep_makes_the_warehouse_equal(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    await pipeline.tick()
    assert await verified(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)
    with Command.that_leaves_nothing(tmp_path) as totesys:
        arguments = ("--source", pipeline.source_dsn, "--model", NAME, "--rate", "150", "--seconds", "3", "--json")
        writing = asyncio.create_task(asyncio.to_thread(totesys, "simulate", *arguments))
        while not writing.done():
            await pipeline.tick()
        written = await writing
        assert written.code == 0, written.words
        assert json.loads(written.out)["deleted"]["payment"] > 0
        await pipeline.tick("sweep")
        assert await verified(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)

        report = totesys("report", "--warehouse", pipeline.warehouse_dsn, "--model", NAME, "--json")
    assert report.code == 0, report.words
    answers = json.loads(report.out)["chapters"][0]["answers"]
    takings = sum(Decimal(row[3]) for row in answers[0]["rows"])
    assert takings == await value(pipeline.source_dsn, "SELECT sum(amount) FROM payment WHERE NOT voided")


@pytest.mark.parametrize("number", rounds(2, 20))
async def test_whatever_the_shops_do_the_warehouse_is_what_the_source_was(
    pipeline: Pipeline, number: int, seed: str
) -> None:
    """With deletions and insertions in joined tables, payments that are voided, and rows that change partition."""
    random = Random(f"{seed}-{number}")
    now = OPENING + timedelta(days=DAYS)
    await pipeline.tick()
    for _ in range(STEPS):
        now += timedelta(minutes=random.randint(1, 2_000))
        for _ in range(random.randint(0, 3)):
            await change(pipeline.source_dsn, random, now, random.randint(1, 8))
        mode = random.choices(MODES, (6, 3, 1))[0]
        await pipeline.tick(mode)
        # Without a sweep, rows deleted from an incremental table are still there.
        assert mode == "changes" or await verified(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)
    await pipeline.tick("sweep")
    assert await verified(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)


@pytest.mark.long
def test_the_demo_runs_the_rental_shops(tmp_path: Path) -> None:
    with Command.that_leaves_nothing(tmp_path, fresh=True) as totesys:
        ended = totesys("demo", "--once", "--model", NAME)
    assert ended.code == 0, ended.words
    assert "The warehouse equals the source" in ended.words
