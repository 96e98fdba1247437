"""Each service's beginning and end, and what comes in between: settings, signals, outages, lost events."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.processes import LIBRARY, environment, run_to_end, running
from tests.sources import execute, make_library, until_there_is, verified
from totesys.connection import connect, redacted
from totesys.log_events import LogEvent
from totesys.triggers import ExtractTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.local_postgres import PostgresServer
from totesys_cli.local.reachable import ReachablePostgres


def refused(stage: str, plane: LocalDataPlane, **settings: str) -> str:
    """What a service says that does not start."""
    code, lines = run_to_end(stage, environment(stage, plane, **settings))
    assert code == 2
    (line,) = lines
    assert line["event"] == LogEvent.SERVICE_START_FAILED
    text: str = line["error"]
    return text


def test_a_service_without_a_token_is_not_for_others_to_reach(data_plane: LocalDataPlane) -> None:
    for token in ({}, {"trigger_token": ""}):
        said = refused("transform", data_plane, host="0.0.0.0", **token)
        assert said.startswith(
            "TOTESYS_HOST is 0.0.0.0, which other machines can reach, and TOTESYS_TRIGGER_TOKEN is not set"
        )


@contextmanager
def occupied_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_in_use_is_named(data_plane: LocalDataPlane) -> None:
    with occupied_port() as port:
        said = refused("transform", data_plane, port=str(port))
    assert said.startswith(f"Cannot listen on 127.0.0.1:{port}: Address already in use. Set TOTESYS_PORT")


def test_each_missing_setting_is_named(data_plane: LocalDataPlane) -> None:
    complete = environment("load", data_plane)
    code, (line,) = run_to_end("load", {k: v for k, v in complete.items() if not k.startswith("TOTESYS_")})
    assert code == 2
    for name in ("INGEST_BUCKET", "PROCESSED_BUCKET", "QUEUE_URL", "DLQ_URL", "WAREHOUSE_DSN"):
        assert f"TOTESYS_{name}: Field required" in line["error"]


def test_a_model_that_cannot_be_imported_is_named(data_plane: LocalDataPlane) -> None:
    assert "TOTESYS_MODEL is 'no.such.model'" in refused("transform", data_plane, model="no.such.model")


def test_a_missing_region_is_named(data_plane: LocalDataPlane) -> None:
    regionless = {k: v for k, v in environment("transform", data_plane).items() if not k.endswith("_REGION")}
    code, (line,) = run_to_end("transform", regionless | {"AWS_CONFIG_FILE": "/dev/null"})
    assert code == 2
    assert line["error"].startswith("AWS_DEFAULT_REGION is not set")


async def test_a_source_that_is_down_is_waited_for_and_uses_up_no_receive(
    data_plane: LocalDataPlane, emulator: Emulator, folder: Path
) -> None:
    with PostgresServer.start(folder, durable=False) as server:
        source = await make_library(server.create_database("library"))
    settings = environment("ingest", data_plane, source_dsn=source) | LIBRARY
    async with running("ingest", settings) as ingest, httpx.AsyncClient(base_url=ingest.url) as client:
        assert (await client.get("/health")).status_code == 200
        problem = (await client.get("/health/ready")).json()
        assert (problem["status"], problem["title"]) == (503, "Not ready")
        assert problem["dependencies"] == {"queue": "ok", "lake": "ok", "source": "database unavailable"}
        assert f"source: The source at 127.0.0.1:{server.port}/library does not answer" in problem["detail"]
        await client.post("/trigger")
        for _ in range(2):
            waiting = await ingest.event(LogEvent.DEPENDENCIES_UNAVAILABLE, level="warning")
            assert list(waiting["dependencies"]) == ["source"]
        with PostgresServer.start(folder, port=server.port, durable=False):
            await ingest.event(LogEvent.DEPENDENCIES_RECOVERED)
            await ingest.event(LogEvent.EXTRACTION_COMPLETED, runs=[1])
            await ingest.event(LogEvent.MESSAGE_PROCESSED, receives=1)
            assert (await client.get("/health/ready")).status_code == 200
            emulator.s3.delete_bucket(Bucket=data_plane.processed_bucket)
            problem = (await client.get("/health/ready")).json()
            assert problem["dependencies"] == {"queue": "ok", "lake": "settings error", "source": "ok"}
            assert data_plane.processed_bucket in problem["detail"]
        assert await ingest.stop() == 0


async def test_a_database_that_takes_no_connections_is_waited_for_and_uses_up_no_receive(
    data_plane: LocalDataPlane, postgres: ReachablePostgres, database: Callable[[], str]
) -> None:
    source = await make_library(database())
    name = source.rpartition("/")[2]
    await execute(postgres.dsn(), f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    settings = environment("ingest", data_plane, source_dsn=source) | LIBRARY
    async with running("ingest", settings) as ingest, httpx.AsyncClient(base_url=ingest.url) as client:
        await client.post("/trigger")
        waiting = await ingest.event(LogEvent.DEPENDENCIES_UNAVAILABLE, level="warning")
        assert waiting["dependencies"] == {
            "source": f"The source at {redacted(source)} cannot serve now: "
            f'database "{name}" is not currently accepting connections.'
        }
        problem = (await client.get("/health/ready")).json()
        assert problem["dependencies"] == {"queue": "ok", "lake": "ok", "source": "database unavailable"}
        await execute(postgres.dsn(), f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await ingest.event(LogEvent.DEPENDENCIES_RECOVERED)
        await ingest.event(LogEvent.EXTRACTION_COMPLETED, runs=[1])
        await ingest.event(LogEvent.MESSAGE_PROCESSED, receives=1)
        assert await ingest.stop() == 0


async def test_work_that_does_not_end_in_time_is_given_back_at_sigterm(
    data_plane: LocalDataPlane, emulator: Emulator, database: Callable[[], str]
) -> None:
    source = await make_library(database())
    settings = environment("ingest", data_plane, source_dsn=source, shutdown_grace="PT0.1S") | LIBRARY
    async with running("ingest", settings) as ingest, connect("The source", source) as other, other.transaction():
        await other.execute("LOCK TABLE loan IN ACCESS EXCLUSIVE MODE")
        sent = emulator.sqs.send_message(QueueUrl=data_plane.ingest_queue_url, MessageBody="{}")
        await until_there_is(other, "SELECT FROM pg_locks WHERE NOT granted AND relation = 'loan'::regclass")
        assert await ingest.stop() == 0
    (message,) = emulator.sqs.receive_message(QueueUrl=data_plane.ingest_queue_url, WaitTimeSeconds=20)["Messages"]
    assert message["MessageId"] == sent["MessageId"]


async def test_a_lost_event_is_made_up_for_at_start_and_at_the_next_wake_up(
    data_plane: LocalDataPlane, emulator: Emulator, database: Callable[[], str]
) -> None:
    source, warehouse = await make_library(database()), database()
    for bucket in (data_plane.ingest_bucket, data_plane.processed_bucket):
        emulator.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    transform_settings = environment("transform", data_plane) | LIBRARY
    load_settings = environment("load", data_plane, warehouse_dsn=warehouse) | LIBRARY
    async with Pipeline(MODEL, data_plane, source, warehouse) as pipeline:
        await pipeline.ingest.work(ExtractTrigger())
        async with running("transform", transform_settings) as transform:
            await transform.event(LogEvent.RUN_COMPLETED, run=1)
            await execute(source, "UPDATE loan SET fee = 9 WHERE loan_id = 1")
            await pipeline.ingest.work(ExtractTrigger())
            await execute(source, "UPDATE loan SET fee = 8 WHERE loan_id = 1")
            await pipeline.ingest.work(ExtractTrigger())
            async with running("load", load_settings) as load, httpx.AsyncClient() as client:
                await load.event(LogEvent.RUN_COMPLETED, run=1)
                await client.post(f"{transform.url}/trigger")
                await transform.event(LogEvent.RUN_COMPLETED, run=2)
                await transform.event(LogEvent.RUN_COMPLETED, run=3)
                await client.post(f"{load.url}/trigger")
                await load.event(LogEvent.RUN_COMPLETED, run=2)
                await load.event(LogEvent.RUN_COMPLETED, run=3)
                emulator.sqs.delete_queue(QueueUrl=data_plane.load_queue_url)
                problem = (await client.get(f"{load.url}/health/ready")).json()
                assert problem["dependencies"] == {"queue": "settings error", "lake": "ok", "warehouse": "ok"}
                assert data_plane.load_queue_url in problem["detail"]
    assert await verified(source, warehouse, MODEL)
