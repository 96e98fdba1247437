"""How old what the warehouse shows is: true of an idle source, and of a pipeline that stands still."""

from datetime import datetime

import httpx
import pytest
from structlog.testing import capture_logs

from tests.pipeline import Pipeline
from tests.processes import LIBRARY, environment, running
from tests.sources import execute
from totesys.connection import connect
from totesys.log_events import LogEvent
from totesys.triggers import RECONCILE, ExtractTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_load.freshness_metric import emit_once, shown_snapshot

# A ledger in which moments are no moments.
UNREADABLE = """
    ALTER TABLE etl.run RENAME TO gone;
    CREATE VIEW etl.run AS SELECT lake, run, extraction, complete, snapshot_time::text FROM etl.gone
"""


async def moment_shown(pipeline: Pipeline) -> datetime | None:
    async with connect("The warehouse", pipeline.warehouse_dsn) as connection:
        return await shown_snapshot(connection, pipeline.lake)


async def newest_snapshot(pipeline: Pipeline) -> datetime:
    manifest = await pipeline.lake.newest_manifest()
    assert manifest is not None
    return manifest.snapshot_time


async def test_nothing_is_shown_before_the_first_run_is_loaded(library: Pipeline) -> None:
    assert await moment_shown(library) is None
    await library.ingest.work(ExtractTrigger())
    assert await moment_shown(library) is None
    await library.catch_up()
    assert await moment_shown(library) == await newest_snapshot(library)


async def test_a_tick_that_finds_nothing_changed_makes_the_warehouse_fresh(library: Pipeline) -> None:
    await library.tick()
    first = await newest_snapshot(library)
    await library.ingest.work(ExtractTrigger())
    assert await newest_snapshot(library) > first
    assert await moment_shown(library) == await newest_snapshot(library)


async def test_what_is_not_loaded_yet_makes_it_no_fresher_nor_does_a_tick_after_it(library: Pipeline) -> None:
    await library.tick()
    first = await newest_snapshot(library)
    await execute(library.source_dsn, "UPDATE loan SET fee = 4")
    await library.ingest.work(ExtractTrigger())
    await library.ingest.work(ExtractTrigger())
    assert await moment_shown(library) == first
    await library.transform.work(RECONCILE)
    assert await moment_shown(library) == first
    await library.load.work(RECONCILE)
    assert await moment_shown(library) == await newest_snapshot(library)


async def test_a_part_of_a_snapshot_makes_it_no_fresher(library: Pipeline) -> None:
    await library.tick()
    first = await library.lake.newest_manifest()
    assert first is not None
    run = (await library.lake.claim_run_number()).last
    slice_of_it = {"run": run, "extraction": run, "previous": first.run, "complete": False, "xmin_after": None}
    await library.lake.commit(first.model_copy(update={**slice_of_it, "snapshot_time": datetime.now().astimezone()}))
    await library.transform.work(RECONCILE)
    await library.load.work(RECONCILE)
    assert await moment_shown(library) == first.snapshot_time


async def test_it_is_told_with_the_metric_and_silence_has_a_reason(library: Pipeline) -> None:
    await library.tick()
    with capture_logs() as logs:
        await emit_once(library.load.settings, library.lake)
    (said,) = (log for log in logs if log["event"] == LogEvent.FRESHNESS_MEASURED)
    assert said["Freshness"] == pytest.approx(
        (datetime.now().astimezone() - said["snapshot_time"]).total_seconds(), abs=5
    )


async def test_a_service_that_can_no_longer_tell_it_is_not_healthy_and_says_why(
    library: Pipeline, data_plane: LocalDataPlane
) -> None:
    """What nobody foresaw ends the task, not the service: without the alarm on silence nobody would know."""
    await library.tick()
    settings = environment("load", data_plane, warehouse_dsn=library.warehouse_dsn, freshness_every="PT0.2S") | LIBRARY
    async with running("load", settings) as load, httpx.AsyncClient(base_url=load.url) as client:
        await load.event(LogEvent.FRESHNESS_MEASURED)
        assert (await client.get("/health")).status_code == 200
        await execute(library.warehouse_dsn, UNREADABLE)
        ended = await load.event(LogEvent.BACKGROUND_TASK_ENDED, task="freshness", level="error")
        assert ended["kind"] == "TypeError"
        assert "Traceback" in ended["exception"]
        answer = await client.get("/health")
        assert answer.status_code == 503
        assert answer.json()["detail"].startswith("the background task 'freshness' has ended (TypeError)")
        assert await load.stop() == 0


async def test_an_outage_is_no_end_of_telling_it(
    library: Pipeline, data_plane: LocalDataPlane, postgres: ReachablePostgres
) -> None:
    await library.tick()
    settings = environment("load", data_plane, warehouse_dsn=library.warehouse_dsn, freshness_every="PT0.2S") | LIBRARY
    async with running("load", settings) as load, httpx.AsyncClient(base_url=load.url) as client:
        await load.event(LogEvent.FRESHNESS_MEASURED)
        closed = f"ALTER DATABASE {library.warehouse_dsn.rpartition('/')[2]} ALLOW_CONNECTIONS"
        await execute(postgres.dsn(), f"{closed} false")
        await load.event(LogEvent.FRESHNESS_CHECK_FAILED)
        await execute(postgres.dsn(), f"{closed} true")
        await load.event(LogEvent.FRESHNESS_MEASURED)
        assert (await client.get("/health")).status_code == 200
