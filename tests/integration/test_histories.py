"""Whatever happens in the source, and however the stages are woken, the warehouse is what the source was."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import pytest
from pydantic import SecretStr

from tests.audit import Audit, Sight
from tests.examples import rounds
from tests.models.shops import MODEL
from tests.pipeline import Pipeline
from tests.writers import Writers
from totesys.connection import connect
from totesys.errors import LakeUnavailable
from totesys.lake.records import Manifest
from totesys.lake.store import Lake
from totesys.triggers import ExtractTrigger, RunsTrigger
from totesys.verify import equal, verify
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.source_database import create_source, publication_statement
from totesys_ingest.ingest_settings import GIB
from totesys_load.load_stage import Load

pytestmark = pytest.mark.postgres

SESSIONS = 3
STEPS = 40
FIRST_ROWS = 250
PAGE_BYTES = 8192


@dataclass(frozen=True)
class StoppingLake(Lake):
    """A lake that takes so many commits of ingest, and then no more."""

    turns: Iterator[int]

    async def commit(self, manifest: Manifest) -> None:
        if next(self.turns, None) is None:
            raise LakeUnavailable("The lake takes no more.")
        await super().commit(manifest)


class History:
    """Steps that a seed decides: the source changes, the stages work, and are interrupted, doubled and repeated."""

    def __init__(self, random: Random, pipeline: Pipeline, writers: Writers) -> None:
        self._random = random
        self._pipeline = pipeline
        self._writers = writers
        self.audit = Audit(MODEL, pipeline.source_dsn)
        self._complete = False

    async def step(self) -> None:
        """Whatever comes next."""
        steps = {
            self.write: 20,
            self.tick: 12,
            self.extract: 6,
            self.extract_everything: 2,
            self.extract_and_break_off: 6,
            self.all_at_once: 3,
            self.transform: 2,
            self.repeat: 4,
            self.restart: 2,
            self.vacuum: 2,
        }
        step = self._random.choices(list(steps), list(steps.values()))[0]
        print(step.__name__)
        self._choose_capture()
        await step()

    def _choose_capture(self) -> None:
        """The log, a scan because there is too much of the log, or rarely a scan without a slot."""
        self._pipeline.use(log_bytes=self._random.choice([1, GIB, GIB, GIB]))
        if self._random.random() < 0.05:
            self._pipeline.use(capture=self._random.choice(["scan", "log"]))

    async def write(self) -> None:
        for _ in range(self._random.randint(1, 20)):
            await self._writers.act()

    async def tick(self) -> None:
        await self.extract()
        await self._pipeline.catch_up()
        await self.check()

    async def check(self) -> None:
        """What a broken-off extraction has brought is made whole by the next one."""
        if self._complete:
            await self.audit.check(self._pipeline.warehouse_dsn)

    async def extract(self) -> None:
        sight = await self.audit.look()
        await self._pipeline.ingest.work(ExtractTrigger())
        self._note(sight, complete=True)

    async def extract_everything(self) -> None:
        sight = await self.audit.look()
        await self._pipeline.ingest.work(ExtractTrigger(mode="full"))
        self._note(sight, complete=True)

    async def extract_and_break_off(self) -> None:
        replica = self._replica()
        lake = self._pipeline.lake
        replica.ingest.lake = StoppingLake(lake.ingest, lake.processed, iter(range(self._random.randrange(4))))
        sight, before = await self.audit.look(), await lake.newest_manifest()
        with suppress(LakeUnavailable):
            await replica.ingest.work(ExtractTrigger(mode=self._random.choice(["changes", "full"])))
        after = await lake.newest_manifest()
        if after is not None and after != before:
            self._note(sight, complete=after.complete)

    def _note(self, sight: Sight, *, complete: bool) -> None:
        self.audit.note(sight, complete=complete)
        self._complete = complete

    async def all_at_once(self) -> None:
        """Two of every stage, at the same time."""
        sight, one, other = await self.audit.look(), self._pipeline, self._replica()
        await asyncio.gather(
            one.ingest.work(ExtractTrigger()), other.catch_up(), one.catch_up(), other.ingest.work(ExtractTrigger())
        )
        self._note(sight, complete=True)

    async def transform(self) -> None:
        await self._pipeline.transform.work(RunsTrigger())

    async def repeat(self) -> None:
        """Transform or load does runs again that are in the warehouse."""
        loaded = [row[0] for row in await self._pipeline.rows("SELECT run FROM etl.run")]
        first, last = sorted(self._random.choices(loaded, k=2))
        again = RunsTrigger(from_run=first, to_run=last)
        transform, load = self._pipeline.transform.work, self._pipeline.load.work
        for work in self._random.choice([[transform], [load], [transform, load]]):
            await work(again)

    async def restart(self) -> None:
        self._pipeline.restart()

    async def vacuum(self) -> None:
        """Frozen rows keep the transaction id that says when they changed."""
        async with connect("The source", self._pipeline.source_dsn) as connection:
            await connection.execute("VACUUM (FREEZE)")

    async def settle(self) -> None:
        """The source comes to rest and its last changes arrive: nothing differs then."""
        await self._writers.end()
        await self.tick()
        assert equal(await verify(self._pipeline.source_dsn, self._pipeline.warehouse_dsn, MODEL))

    async def stay(self) -> None:
        """Where nothing has changed, an extraction of everything writes nothing."""
        await self.extract_everything()
        await self._pipeline.catch_up()
        await self.check()
        written = await self._pipeline.rows("SELECT rows_written FROM etl.run ORDER BY run DESC LIMIT 1")
        assert [row[0] for row in written] == [0]

    async def rebuild(self, warehouse_dsn: str) -> None:
        """Of the lake alone a new warehouse becomes the same."""
        settings = self._pipeline.load.settings.model_copy(update={"warehouse_dsn": SecretStr(warehouse_dsn)})
        await Load(settings, self._pipeline.lake, MODEL).work(RunsTrigger())
        await self.audit.check(warehouse_dsn)

    def _replica(self) -> Pipeline:
        replica = copy(self._pipeline)
        replica.restart()
        return replica


@pytest.fixture(params=rounds(2, 6))
def random(request: pytest.FixtureRequest, seed: str) -> Random:
    return Random(f"{seed}-{request.param}")


@pytest.fixture
async def history(random: Random, database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[History]:
    """A history whose source has had its first extraction, in many runs or in few."""
    source_dsn = database()
    sizes = {
        "part_bytes": random.choice([PAGE_BYTES, 3 * PAGE_BYTES]),
        "run_bytes": random.choice([1, 1, 10_000, 1_000_000]),
        "connections": random.randint(1, 3),
        "full_connections": random.randint(1, 3),
        "capture": "log",
        "capture_slot": source_dsn.rpartition("/")[2],
        "log_check": timedelta(seconds=random.choice([1, 3600])),
    }
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connect("The source", source_dsn)) for _ in range(SESSIONS)]
        await create_source(connections[0], MODEL)
        await connections[0].execute(publication_statement(MODEL, "public", "totesys"))
        writers = Writers(MODEL, random, connections)
        await writers.fill(FIRST_ROWS)
        pipeline = await stack.enter_async_context(Pipeline(MODEL, data_plane, source_dsn, database(), **sizes))
        history = History(random, pipeline, writers)
        await history.tick()
        yield history


async def test_a_warehouse_shows_every_state_that_an_extraction_saw_once_and_in_order(
    history: History, database: Callable[[], str]
) -> None:
    for _ in range(STEPS):
        await history.step()
    await history.settle()
    await history.stay()
    await history.rebuild(database())
