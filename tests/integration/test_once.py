"""TOTESYS_ONCE: a stage that does what is pending and what its queue has, then exits, as a scheduled task runs it."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.models.library import MODEL
from tests.processes import LIBRARY, environment, run_to_end
from tests.sources import execute, make_library, verified
from totesys.log_events import LogEvent
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.local_postgres import PostgresServer

STAGES = ("ingest", "transform", "load")


def emitted(lines: list[dict[str, Any]]) -> set[str]:
    """The names of the metrics in log lines."""
    directives = [directive for line in lines for directive in line.get("_aws", {}).get("CloudWatchMetrics", ())]
    return {metric["Name"] for directive in directives for metric in directive["Metrics"]}


async def test_one_after_the_other_brings_each_tick_to_the_warehouse(
    data_plane: LocalDataPlane, emulator: Emulator, database: Callable[[], str]
) -> None:
    source, warehouse = await make_library(database()), database()

    async def tick() -> list[dict[str, Any]]:
        lines = []
        for stage in STAGES:
            dsns = {"source_dsn": source, "warehouse_dsn": warehouse}
            # Only root may listen there: nothing does.
            settings = environment(stage, data_plane, once="true", metrics="ExtractionSeconds", port="1", **dsns)
            code, said = await asyncio.to_thread(run_to_end, stage, settings | LIBRARY)
            assert (code, said[-1]["event"]) == (0, LogEvent.SERVICE_STOPPED), said
            lines += said
        return lines

    first = await tick()
    assert [line["stage"] for line in first if line["event"] == LogEvent.RUN_COMPLETED] == list(STAGES)
    assert emitted(first) == {"ExtractionSeconds"}
    assert await verified(source, warehouse, MODEL)
    await execute(source, "UPDATE loan SET fee = 9 WHERE loan_id = 1")
    for queue, message in (
        (data_plane.ingest_queue_url, {"mode": "sweep", "trigger": "schedule"}),
        (data_plane.load_queue_url, {"verify": True}),
    ):
        emulator.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(message))
    second = await tick()
    assert [line["run"] for line in second if line["event"] == LogEvent.RUN_COMPLETED] == [2, 2, 2]
    assert [line["wrong"] for line in second if line["event"] == LogEvent.VERIFICATION_COMPLETED] == [{}]
    assert await verified(source, warehouse, MODEL)
    nothing = await tick()
    assert [line["stage"] for line in nothing if line["event"] == LogEvent.RUN_COMPLETED] == ["ingest"]


async def test_a_source_that_is_down_fails_the_task_and_keeps_the_message(
    data_plane: LocalDataPlane, emulator: Emulator, folder: Path
) -> None:
    with PostgresServer.start(folder, durable=False) as server:
        source = await make_library(server.create_database("library"))
    sent = emulator.sqs.send_message(QueueUrl=data_plane.ingest_queue_url, MessageBody="{}")
    settings = environment("ingest", data_plane, once="true", source_dsn=source) | LIBRARY
    code, lines = await asyncio.to_thread(run_to_end, "ingest", settings)
    assert code == 1
    (error,) = (line for line in lines if line["level"] == "error")
    assert (error["event"], list(error["dependencies"])) == (LogEvent.DEPENDENCIES_UNAVAILABLE, ["source"])
    (message,) = emulator.sqs.receive_message(QueueUrl=data_plane.ingest_queue_url, WaitTimeSeconds=5)["Messages"]
    assert message["MessageId"] == sent["MessageId"]


async def test_a_failed_run_is_an_error_and_the_others_go_on(
    data_plane: LocalDataPlane, emulator: Emulator, database: Callable[[], str]
) -> None:
    source = await make_library(database())
    for body in ("not a trigger", "{}"):
        emulator.sqs.send_message(QueueUrl=data_plane.ingest_queue_url, MessageBody=body)
    settings = environment("ingest", data_plane, once="true", source_dsn=source) | LIBRARY
    code, lines = await asyncio.to_thread(run_to_end, "ingest", settings)
    assert code == 1
    assert [line["event"] for line in lines if line["level"] == "error"] == [LogEvent.MESSAGE_FAILED]
    assert [line["run"] for line in lines if line["event"] == LogEvent.RUN_COMPLETED] == [1]
