"""Whatever happens to the source's server, the warehouse is what each extraction saw, once, and verification agrees."""

import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from itertools import count
from random import Random

import pytest

from tests.examples import rounds
from tests.expectation import Found
from tests.models.shops import MODEL
from tests.pipeline import Pipeline
from tests.servers import Kept, Server, caught_up, cut_off, server_folder
from tests.shops_history import History, make_open_shops
from tests.sources import execute, rows
from totesys.connection import connect
from totesys.errors import DatabaseUnavailable
from totesys.triggers import ExtractTrigger
from totesys.verify import verify
from totesys_cli.local.local_data_plane import LocalDataPlane

STEPS = 6
_numbers = count(1)
# Ids of transactions pass by, so that the source comes to where it was before it went back.
PASS = "DO $$ BEGIN FOR i IN 1..{} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"


class Accidents(History):
    """A history whose server restarts, crashes, goes back, is followed and replaced, with transactions left open."""

    def __init__(self, random: Random, pipeline: Pipeline, server: Server, database: str) -> None:
        super().__init__(random, pipeline)
        self.server = server
        self._database = database
        self._kept: Kept | None = None

    async def step(self) -> None:
        await self.change_some()
        accidents = {
            self.restart: 2,
            self.crash: 1,
            self.keep_or_go_back: 4,
            self.prepare: 4,
            self.fail_over: 2,
            self.read_from_a_standby: 2,
            self.freeze: 1,
        }
        accident = self.random.choices(list(accidents), list(accidents.values()))[0]
        print(accident.__name__)
        await accident()
        await self.change_some()
        await self.random.choices([self.tick, self.sweep, self.full], [8, 3, 1])[0]()
        await Found(self.pipeline.warehouse_dsn, MODEL).check(self.expected)
        await self.verify()

    async def verify(self) -> None:
        """Nothing is wrong but ids that no sweep has looked for yet."""
        result = await verify(self.pipeline.source_dsn, self.pipeline.warehouse_dsn, MODEL)
        assert result.is_equal, [table for table in result.tables if not table.is_equal]
        assert result.baseline is not None, result.reason
        changed = [(table.table, table.changed_since) for table in result.tables if table.changed_since]
        assert not changed, "a run has brought all that there is"

    async def restart(self) -> None:
        self.server.restart()

    async def crash(self) -> None:
        os.kill(self.server.running.pid, signal.SIGKILL)
        self.server.restart()

    async def keep_or_go_back(self) -> None:
        """The disk is kept as it is, or goes back to that; often the source then comes to where it had been."""
        if self._kept is None:
            self._kept = self.server.keep()
            return
        self._kept.restore()
        self.losses.clear()
        self._kept = None
        await self.change_some()
        await execute(self.pipeline.source_dsn, PASS.format(self.random.choice([1, 100, 1000])))

    async def prepare(self) -> None:
        """A transaction stays open over restarts and ticks, or one of these ends."""
        prepared = [row[0] for row in await rows(self.pipeline.source_dsn, "SELECT gid FROM pg_prepared_xacts")]
        if prepared and self.random.random() < 0.5:
            end = self.random.choice(["COMMIT", "ROLLBACK"])
            await execute(self.pipeline.source_dsn, f"{end} PREPARED '{self.random.choice(prepared)}'")
            return
        key, one = 100 + next(_numbers), self.random.randint(1, 4)
        async with connect("The source", self.pipeline.source_dsn) as connection:
            await connection.execute(
                f"BEGIN; INSERT INTO sale VALUES ({key}, {one}, {one}, 1, NULL, date '2026-01-01'); SAVEPOINT a; "
                f"INSERT INTO sale VALUES ({key + 100_000}, {one}, {one}, 1, NULL, date '2026-01-01'); RELEASE a; "
                f"PREPARE TRANSACTION 'p{key}'"
            )

    async def fail_over(self) -> None:
        """A standby takes over that has everything, or that lacks what runs have seen."""
        standby = self._standby()
        if self.random.random() < 0.5:
            await cut_off(standby)
            await self.change_some()
            await self.tick()
        else:
            await self.tick()
            await caught_up(standby, self.server)
        self.server.stop()
        shutil.rmtree(self.server.folder)
        if self._kept is not None:
            self._kept.forget()
            self._kept = None
        self.server = standby
        await execute(standby.dsn(), "SELECT pg_promote()")
        self.losses.clear()
        self._read_from(standby)
        await execute(self.pipeline.source_dsn, PASS.format(self.random.choice([1, 100, 1000])))

    async def read_from_a_standby(self) -> None:
        """One that lags is waited for."""
        standby = self._standby()
        await caught_up(standby, self.server)
        await execute(standby.dsn(), "SELECT pg_wal_replay_pause()")
        await self.change_some()
        await execute(self.pipeline.source_dsn, PASS.format(3))
        await self.tick()
        self._read_from(standby)
        with pytest.raises(DatabaseUnavailable, match="shows less"):
            await self.pipeline.ingest.work(ExtractTrigger(mode="sweep"))
        await execute(standby.dsn(), "SELECT pg_wal_replay_resume()")
        await caught_up(standby, self.server)
        for _ in range(self.random.randint(1, 2)):
            await self.tick()
        self._read_from(self.server)
        standby.stop()
        shutil.rmtree(standby.folder)

    async def freeze(self) -> None:
        await execute(self.pipeline.source_dsn, "VACUUM (FREEZE)")

    def end(self) -> None:
        """Leave no server and no folder behind."""
        if self._kept is not None:
            self._kept.forget()
        self.server.stop()
        shutil.rmtree(self.server.folder)

    def _standby(self) -> Server:
        return self.server.standby(self.server.folder.with_name(f"server-{next(_numbers)}"))

    def _read_from(self, server: Server) -> None:
        self.pipeline.source_dsn = server.dsn(self._database)
        self.pipeline.restart()


@pytest.fixture(params=rounds(1, 6))
async def history(
    request: pytest.FixtureRequest, seed: str, database: Callable[[], str], data_plane: LocalDataPlane
) -> AsyncIterator[Accidents]:
    with server_folder() as folder:
        server = Server(folder / "server-0")
        await server.configure(max_prepared_transactions="50")
        source_dsn = await make_open_shops(server.create_database("shops"))
        async with Pipeline(MODEL, data_plane, source_dsn, database()) as pipeline:
            history = Accidents(Random(f"{seed}-{request.param}"), pipeline, server, "shops")
            yield history
            history.end()


async def test_whatever_happens_to_the_source_the_warehouse_is_what_each_run_saw(
    history: Accidents, database: Callable[[], str]
) -> None:
    await history.tick()
    for _ in range(STEPS):
        await history.step()
    await history.settle()
    await history.rebuild(database())
