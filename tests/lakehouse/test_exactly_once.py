"""Each run's rows are in the tables once, whoever writes at the same time, is killed, or does not hear an answer."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tests import preloaded
from tests.faulty_aws import Fault, FaultyAws, lost, refused, reset
from tests.lakehouse.conftest import RUNS, fill
from tests.lakehouse_stack import LakehousePipeline
from tests.models.library import MODEL
from tests.sources import execute, make_library
from totesys.errors import TransientError
from totesys.triggers import RECONCILE, RunsTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_lakehouse.lakehouse_stage import Lakehouse

pytestmark = pytest.mark.long

KILLS = 24
KILLED = 137


async def committed(stage: Lakehouse, trigger: RunsTrigger = RECONCILE) -> None:
    """Work as the service does: again after each transient failure."""
    for _ in range(200):
        try:
            await stage.work(trigger)
        except TransientError as error:
            print(type(error).__name__, error)
        else:
            return
    raise AssertionError("it never succeeds")


async def test_two_writers_commit_each_run_once(library: LakehousePipeline) -> None:
    writers = [library.lakehouse, library.another_writer(), library.another_writer()]
    await asyncio.gather(*map(committed, writers))
    await library.audit()

    for number in range(3):
        await fill_more(library, number)
        await asyncio.gather(*map(committed, writers))
        await library.audit()


async def fill_more(library: LakehousePipeline, number: int) -> None:
    await execute(
        library.source_dsn, f"UPDATE loan SET fee = fee + {number + 1}", f"UPDATE book SET shelf = 'S{number}'"
    )
    await library.tick_without_lakehouse("full" if number % 2 else "changes")


async def test_a_replay_beside_another_writer_leaves_each_row_once(library: LakehousePipeline) -> None:
    await committed(library.lakehouse)
    again = [RunsTrigger(from_run=1, to_run=RUNS, replay=f"replay-{number}") for number in range(2)]
    other = library.another_writer()
    await fill_more(library, 0)
    await asyncio.gather(
        committed(library.lakehouse, again[0]), committed(other, again[1]), committed(library.another_writer())
    )
    await library.audit()


async def test_a_commit_whose_answer_is_lost_is_not_repeated(library: LakehousePipeline) -> None:
    store = library.lakehouse._open()
    commit, lost_answers = store.catalog.commit_table, 0

    def without_answer(*parameters: Any, **named: Any) -> Any:
        nonlocal lost_answers
        commit(*parameters, **named)
        lost_answers += 1
        raise OperationalError("COMMIT", {}, Exception("the connection broke off"))

    store.catalog.commit_table = without_answer  # type: ignore[method-assign]
    await committed(library.lakehouse)

    assert lost_answers
    await library.audit()


@pytest.fixture
async def sqlite_library(
    database: Callable[[], str], data_plane: LocalDataPlane, tmp_path: Path
) -> AsyncIterator[LakehousePipeline]:
    async with LakehousePipeline(MODEL, data_plane, await make_library(database()), database()) as pipeline:
        pipeline.begin(f"sqlite:///{tmp_path}/catalog.sqlite")
        await fill(pipeline)
        yield pipeline


async def test_a_storage_that_loses_answers_breaks_off_or_refuses_loses_no_row(
    sqlite_library: LakehousePipeline, data_plane: LocalDataPlane, aws: FaultyAws
) -> None:
    faults = [Fault("S3 *", effect, chance=0.1) for effect in (lost, reset, refused("InternalError", 500))]
    for number, fault in enumerate(faults):
        sqlite_library.begin(
            sqlite_library.catalog_dsn, behind=aws.in_front_of(data_plane), lakehouse_namespace=f"fault_{number}"
        )
        aws.inject(fault)
        await committed(sqlite_library.lakehouse)
        aws.inject()
        await sqlite_library.audit(f"fault_{number}")
    assert aws.broken["S3 UploadPart"] or aws.broken["S3 PUT"]


async def test_a_writer_killed_around_any_write_loses_and_repeats_nothing(
    sqlite_library: LakehousePipeline, data_plane: LocalDataPlane, seed: str
) -> None:
    uncut = run_writer(sqlite_library, data_plane, "uncut", 0)
    assert uncut.returncode == 0, uncut.stderr
    writes = int(uncut.stdout.splitlines()[-1])
    chosen = sorted(Random(seed).sample(range(1, writes + 1), min(KILLS, writes)))
    for point in chosen:
        namespace = f"killed_{point}"
        assert run_writer(sqlite_library, data_plane, namespace, point).returncode == KILLED
        assert run_writer(sqlite_library, data_plane, namespace, 0).returncode == 0
        await sqlite_library.audit(namespace)


async def test_a_writer_killed_again_and_again_gets_done_at_last(
    sqlite_library: LakehousePipeline, data_plane: LocalDataPlane
) -> None:
    lives = 1
    while run_writer(sqlite_library, data_plane, "stubborn", 9).returncode == KILLED:
        lives += 1
    assert lives > RUNS
    await sqlite_library.audit("stubborn")


def run_writer(
    library: LakehousePipeline, plane: LocalDataPlane, namespace: str, kill_at: int
) -> subprocess.CompletedProcess[str]:
    """Run a writer of its own that is killed at a write (0: never)."""
    environment = {
        **os.environ,
        **plane.environment(),
        "TOTESYS_INGEST_BUCKET": plane.ingest_bucket,
        "TOTESYS_PROCESSED_BUCKET": plane.processed_bucket,
        "TOTESYS_QUEUE_URL": "unused",
        "TOTESYS_DLQ_URL": "unused",
        "TOTESYS_MODEL": "tests.models.library",
        "TOTESYS_LAKEHOUSE_CATALOG_DSN": library.catalog_dsn,
        "TOTESYS_LAKEHOUSE_NAMESPACE": namespace,
        "KILL_AT": str(kill_at),
    }
    command = [*preloaded.cli_command()[:-1], "tests.lakehouse.killed_writer"]
    return subprocess.run(command, env=environment, capture_output=True, text=True)
