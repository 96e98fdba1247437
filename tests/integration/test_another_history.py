"""The source is not the one it was: its disk went back, another server took over, or it is a standby."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import count

import pytest
from structlog.testing import capture_logs

from tests.examples import long
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.servers import Server, caught_up, cut_off, server_folder
from tests.sources import execute, make_library, rows, verified
from totesys.connection import connect
from totesys.errors import DatabaseUnavailable
from totesys.lake.bucket import Bucket
from totesys.lake.records import Part, RunCounter
from totesys.log_events import LogEvent
from totesys_cli.local.local_data_plane import LocalDataPlane

_numbers = count(1)
NEW_LOANS = "INSERT INTO loan SELECT n, 1, '{}', '2026-01-07', 2, false FROM generate_series({}, {}) AS n"
BURN = "DO $$ BEGIN FOR i IN 1..300 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
LOANS = "SELECT loan_id, reader FROM {} ORDER BY 1"


@pytest.fixture
async def primary() -> AsyncIterator[Server]:
    with server_folder() as folder:
        server = Server(folder / "primary")
        yield server
        server.stop()


@pytest.fixture
async def standby(primary: Server) -> AsyncIterator[Server]:
    server = primary.standby(primary.folder.with_name("standby"))
    yield server
    server.stop()


@pytest.fixture
async def library(primary: Server, database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """A library whose first run is in the warehouse. Without a `standby` fixture before it there is none."""
    source = await make_library(primary.create_database("library"))
    async with Pipeline(MODEL, data_plane, source, database()) as pipeline:
        await pipeline.tick()
        yield pipeline


async def started(pipeline: Pipeline) -> tuple[bool, str]:
    """Whether a tick extracts everything, and why."""
    with capture_logs() as logs:
        await pipeline.tick()
    (found,) = [log for log in logs if log["event"] == LogEvent.EXTRACTION_STARTED]
    return found["everything"], found["reason"]


async def is_right(pipeline: Pipeline) -> bool:
    """Whether the warehouse is what the source is, its current rows and the deleted ones."""
    current = await rows(pipeline.warehouse_dsn, LOANS.format("warehouse.fact_loan_current"))
    there = await rows(pipeline.source_dsn, LOANS.format("loan"))
    return current == there and await verified(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)


def move(pipeline: Pipeline, server: Server) -> None:
    """Another server is the source from now on."""
    pipeline.source_dsn = server.dsn("library")
    pipeline.restart()


async def promote(standby: Server) -> None:
    await execute(standby.dsn(), "SELECT pg_promote()")


async def test_a_restart_needs_nothing_but_what_changed(primary: Server, library: Pipeline) -> None:
    for _ in range(3):
        await execute(library.source_dsn, "UPDATE loan SET fee = fee + 1 WHERE loan_id = 1")
        primary.restart()
        assert await started(library) == (False, "changes since the last run")
    assert await is_right(library)


@pytest.mark.parametrize("seen", [True, False], ids=["runs have seen what is lost", "nothing is lost but transactions"])
@pytest.mark.parametrize("further", [1, *long(0, 3)])
async def test_a_disk_that_went_back_is_found_however_far_the_source_has_come_since(
    primary: Server, library: Pipeline, seen: bool, further: int
) -> None:
    earlier = primary.keep()
    await execute(library.source_dsn, BURN)
    if seen:
        await execute(library.source_dsn, NEW_LOANS.format("lost", 10, 40), "DELETE FROM loan WHERE loan_id = 2")
        await execute(library.source_dsn, "UPDATE loan SET reader = 'lost' WHERE loan_id = 1")
    await library.tick("sweep")
    earlier.restore()
    await execute(library.source_dsn, NEW_LOANS.format("kept", 30, 60), *[BURN] * further)
    everything, reason = await started(library)
    assert everything
    assert "not in the source's history" in reason
    assert await is_right(library)
    assert await started(library) == (False, "changes since the last run")


@pytest.mark.parametrize("lost", [False, True], ids=["that has all", "that lacks something"])
async def test_a_standby_that_takes_over_is_believed_from_its_first_moment(
    primary: Server, standby: Server, library: Pipeline, lost: bool
) -> None:
    # The server tells its new timeline only at its next checkpoint, which may take minutes.
    await execute(standby.dsn(), "ALTER SYSTEM SET checkpoint_timeout = '1d'", "SELECT pg_reload_conf()")
    await caught_up(standby, primary)
    if lost:
        await cut_off(standby)
        await execute(library.source_dsn, NEW_LOANS.format("lost", 10, 40), BURN)
    await library.tick()
    if not lost:
        await caught_up(standby, primary)
    primary.stop()
    await promote(standby)
    move(library, standby)
    await execute(library.source_dsn, NEW_LOANS.format("kept", 30, 60), *[BURN] * 2)
    everything, _ = await started(library)
    assert everything is lost
    assert await is_right(library)
    assert await started(library) == (False, "changes since the last run")


async def test_a_standby_that_lags_is_waited_for(primary: Server, standby: Server, library: Pipeline) -> None:
    await caught_up(standby, primary)
    await execute(standby.dsn(), "SELECT pg_wal_replay_pause()")
    await execute(library.source_dsn, NEW_LOANS.format("new", 10, 40), "DELETE FROM loan WHERE loan_id = 2")
    await library.tick("sweep")
    before = await library.lake.counter()
    move(library, standby)
    for mode in ("changes", "sweep", "full"):
        with pytest.raises(DatabaseUnavailable, match="shows less than the warehouse does: it has replayed"):
            await library.tick(mode)
        with pytest.raises(DatabaseUnavailable, match="waits until it has caught up"):
            await library.ingest.check()
    assert await library.lake.counter() == before
    await execute(standby.dsn(), "SELECT pg_wal_replay_resume()")
    await caught_up(standby, primary)
    await library.ingest.check()
    await library.tick("sweep")
    assert await is_right(library)
    assert await rows(library.warehouse_dsn, "SELECT count(*) FROM warehouse.fact_loan") == [(2 + 31,)]


async def test_a_standby_gives_each_change_once_whatever_is_open_on_its_primary(
    primary: Server, standby: Server, library: Pipeline
) -> None:
    await caught_up(standby, primary)
    move(library, standby)
    source = primary.dsn("library")
    async with connect("The primary", source) as open_one:
        await open_one.execute("BEGIN; UPDATE loan SET fee = 9 WHERE loan_id = 2; SAVEPOINT a")
        await open_one.execute("INSERT INTO loan SELECT 3, 1, 'Cyd', '2026-01-07', 2, false; RELEASE a")
        for _ in range(3):
            await execute(source, "UPDATE loan SET fee = fee + 1 WHERE loan_id = 1")
            await caught_up(standby, primary)
            assert await started(library) == (False, "changes since the last run")
            manifest = await library.lake.newest_manifest()
            assert manifest is not None
            assert manifest.tables["loan"].rows == 1
        await open_one.execute("COMMIT")
    await caught_up(standby, primary)
    await library.tick()
    assert await is_right(library)
    assert await rows(library.warehouse_dsn, "SELECT count(*) FROM warehouse.fact_loan") == [(2 + 3 + 2,)]


class Interrupting(Bucket):
    """A bucket that is told of the first part; what happens then is `interrupt`'s."""

    def __init__(self, bucket: Bucket, interrupt: Callable[[], object]) -> None:
        super().__init__(bucket.client, bucket.name)
        self._interrupt = interrupt

    async def put_part(self, key: str, body: bytes, rows: int) -> Part:
        part = await super().put_part(key, body, rows)
        await self._interrupt()  # type: ignore[misc]
        return part


async def test_an_extraction_that_a_standby_ends_leaves_no_part_and_says_which_setting_helps(
    primary: Server, standby: Server, library: Pipeline
) -> None:
    for setting in ("max_standby_streaming_delay = 0", "hot_standby_feedback = off"):
        await execute(standby.dsn(), f"ALTER SYSTEM SET {setting}")
    await execute(standby.dsn(), "SELECT pg_reload_conf()")
    await execute(primary.dsn("library"), NEW_LOANS.format("new", 10, 400))
    await caught_up(standby, primary)
    move(library, standby)
    before = {key async for key in library.lake.ingest.keys("")}

    async def vacuum() -> None:
        await execute(primary.dsn("library"), "UPDATE loan SET fee = fee + 1", "VACUUM loan")
        await caught_up(standby, primary)

    usual = library.ingest.lake
    library.ingest.lake = replace(usual, ingest=Interrupting(usual.ingest, vacuum))
    with pytest.raises(DatabaseUnavailable, match="hot_standby_feedback = on"):
        await library.tick("full")
    assert {key async for key in library.lake.ingest.keys("")} == before
    counter = await library.lake.counter()
    assert isinstance(counter, RunCounter)
    library.ingest.lake = usual
    await library.tick()
    assert await is_right(library)
