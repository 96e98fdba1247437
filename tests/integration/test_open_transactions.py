"""A transaction that stays open holds nothing back: what it has written comes when it ends, all else comes once."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count

import pytest
from structlog.testing import capture_logs

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.servers import Server, own_server
from tests.sources import execute, make_library, rows, verified
from totesys.connection import Connection, connect
from totesys.lake.records import Manifest
from totesys.log_events import LogEvent
from totesys_cli.doctor import judge
from totesys_cli.doctor.database_checks import check_source
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_ingest import ingest_stage

FEES = "SELECT loan_id, array_agg(fee::text ORDER BY loan_record_id) FROM warehouse.fact_loan GROUP BY 1 ORDER BY 1"
WRITE = """
    UPDATE loan SET fee = 9 WHERE loan_id = 2;
    SAVEPOINT one; INSERT INTO loan SELECT 3, 1, 'Cyd', '2026-01-07', 2, false; RELEASE one;
    SAVEPOINT two; INSERT INTO loan SELECT 4, 1, 'Dan', '2026-01-08', 2, false; ROLLBACK TO two;
    DO $$ BEGIN INSERT INTO loan SELECT 5, 1, 'Eve', '2026-01-09', 2, false; EXCEPTION WHEN others THEN NULL; END $$;
"""
_numbers = count(1)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    async with own_server(max_prepared_transactions="5") as server:
        yield server


@pytest.fixture
async def library(server: Server, database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    source = await make_library(server.create_database(f"library_{next(_numbers)}"))
    async with Pipeline(MODEL, data_plane, source, database()) as pipeline:
        yield pipeline


async def newest(pipeline: Pipeline) -> Manifest:
    manifest = await pipeline.lake.newest_manifest()
    assert manifest is not None
    return manifest


async def loans(pipeline: Pipeline) -> int:
    """How many rows the last extraction has brought."""
    table = (await newest(pipeline)).tables.get("loan")
    return table.rows if table else 0


async def change_and_tick(pipeline: Pipeline, ticks: int) -> None:
    """Every tick brings the one row that has changed."""
    for _ in range(ticks):
        await execute(pipeline.source_dsn, "UPDATE loan SET fee = fee + 1 WHERE loan_id = 1")
        await pipeline.tick()
        assert await loans(pipeline) == 1


@pytest.mark.parametrize("prepared", [False, True], ids=["session", "prepared"])
@pytest.mark.parametrize("before", [False, True], ids=["after the first run", "before it"])
async def test_what_others_write_meanwhile_comes_once_and_its_own_rows_when_it_ends(
    library: Pipeline, prepared: bool, before: bool
) -> None:
    async with connect("The source", library.source_dsn) as open_one:
        if not before:
            await library.tick()
        await open_one.execute(f"BEGIN; {WRITE}")
        if before:
            await library.tick()
        await change_and_tick(library, 2)
        if prepared:
            await open_one.execute("PREPARE TRANSACTION 'forgotten'")
        await change_and_tick(library, 2)
        await open_one.execute("COMMIT PREPARED 'forgotten'" if prepared else "COMMIT")
    await library.tick()
    assert await loans(library) == 3
    fees = [f"{n}.50" for n in range(5)]
    assert await rows(library.warehouse_dsn, FEES) == [(1, fees), (2, ["1.25", "9.00"]), (3, ["2.00"]), (5, ["2.00"])]
    await library.tick()
    assert (await newest(library)).empty
    assert await verified(library.source_dsn, library.warehouse_dsn, MODEL)


async def test_one_in_another_database_of_the_server_holds_nothing_back(library: Pipeline, server: Server) -> None:
    async with connect("Another database", server.create_database(f"other_{next(_numbers)}")) as other:
        await other.execute("CREATE TABLE t (i int)")
        await other.execute("BEGIN; INSERT INTO t VALUES (1)")
        await library.tick()
        for loan in range(10, 13):
            await execute(library.source_dsn, f"INSERT INTO loan SELECT {loan}, 1, 'Gus', now(), 2, false")
            await library.tick()
            assert await loans(library) == 1


async def test_more_parts_than_are_named_one_by_one_lose_nothing(library: Pipeline) -> None:
    await library.tick()
    async with connect("The source", library.source_dsn) as open_one:
        await open_one.execute("BEGIN; UPDATE loan SET fee = 9 WHERE loan_id = 2")
        await open_one.execute(
            "DO $$ BEGIN FOR n IN 10..10100 LOOP BEGIN INSERT INTO loan SELECT n, 1, 'Fay', now(), 2, false; "
            "EXCEPTION WHEN others THEN NULL; END; END LOOP; END $$"
        )
        await execute(library.source_dsn, "UPDATE loan SET fee = 8 WHERE loan_id = 1")
        await library.tick()
        await library.tick()
        await open_one.execute("COMMIT")
    await library.tick()
    assert await rows(library.warehouse_dsn, "SELECT count(*) FROM warehouse.fact_loan") == [(2 + 1 + 1 + 10_091,)]
    assert await verified(library.source_dsn, library.warehouse_dsn, MODEL)


async def test_verification_excuses_nothing_that_a_run_has_brought(library: Pipeline) -> None:
    async with connect("The source", library.source_dsn) as open_one:
        await open_one.execute("BEGIN; UPDATE loan SET fee = 9 WHERE loan_id = 2")
        await execute(library.source_dsn, "UPDATE loan SET fee = 8 WHERE loan_id = 1")
        await library.tick()
        assert await verified(library.source_dsn, library.warehouse_dsn, MODEL)
        await execute(library.warehouse_dsn, "UPDATE warehouse.fact_loan SET fee = 7 WHERE loan_id = 1")
        assert not await verified(library.source_dsn, library.warehouse_dsn, MODEL)


@pytest.fixture(params=["session", "prepared", "session of another role"])
async def open_one(request: pytest.FixtureRequest, library: Pipeline) -> AsyncIterator[str]:
    """A transaction that somebody has forgotten; how its holder is named."""
    async with AsyncExitStack() as stack:
        holder: Connection = await stack.enter_async_context(connect("The source", library.source_dsn))
        await holder.execute("BEGIN; UPDATE loan SET fee = 9 WHERE loan_id = 2")
        if request.param == "prepared":
            await holder.execute("PREPARE TRANSACTION 'forgotten'")
            yield "prepared transaction 'forgotten' of postgres in database"
            await holder.execute("ROLLBACK PREPARED 'forgotten'")
            return
        if request.param == "session of another role":
            await execute(
                library.source_dsn,
                "CREATE ROLE reader LOGIN PASSWORD 'reader'",
                "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
            )
            owner = library.source_dsn
            library.source_dsn = f"postgresql://reader:reader@{owner.partition('@')[2]}"
            library.restart()
        yield f"session {holder.get_server_pid()} of postgres in database"
        if request.param == "session of another role":
            await execute(owner, "DROP OWNED BY reader", "DROP ROLE reader")


@pytest.fixture
def forgotten_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (ingest_stage, judge):
        monkeypatch.setattr(module, "LONG_OPEN", timedelta(0))


@pytest.mark.usefixtures("forgotten_soon")
async def test_who_holds_the_oldest_one_is_told_with_its_age(library: Pipeline, open_one: str) -> None:
    ages = []
    for _ in range(2):
        with capture_logs() as logs:
            await library.tick()
        (started,) = [log for log in logs if log["event"] == LogEvent.EXTRACTION_STARTED]
        ages.append(started["OldestTransactionSeconds"])
    (warning,) = [log for log in logs if log["event"] == LogEvent.LONG_TRANSACTION_FOUND]
    assert warning["holder"].startswith(open_one)
    assert 0 <= ages[0] < ages[1]
    told = (await newest(library)).open_transaction
    assert told is not None
    assert (told.holder, told.since) == (warning["holder"], warning["since"])
    findings = await check_source(MODEL, library.source_dsn, "public")
    (finding,) = [one for one in findings if one.check == "source transactions"]
    # The doctor has not met it before: of another role's session it cannot tell the age.
    of_another = not finding.sentence.startswith("A transaction has been open")
    assert of_another or open_one in finding.sentence
