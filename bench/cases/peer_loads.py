"""First load and memory of the peers. They take long, so they have rounds of their own."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.cases.loads import CLIENT, RAW, RAW_AND_STAR, STAR, record_load, record_use
from bench.contenders import DLT, DLT_TUNED, student_script
from bench.measurement import Case
from bench.peers import dlt_copy, star, student
from bench.peers.tables import TABLES
from bench.processes import cpu_seconds
from bench.stand import require_equal
from bench.system import POSTGRES
from bench.trial import Trial


@dataclass(frozen=True)
class DltCopy:
    """A copy of the source's big tables, as they were at `since`, that dlt can bring up to date."""

    warehouse: str
    folder: Path
    since: datetime


@asynccontextmanager
async def copied(trial: Trial) -> AsyncIterator[DltCopy]:
    """Let each peer load the source, record what that took, and keep the last copy of dlt with ConnectorX.

    dlt as it begins takes so long that it is measured where loads are compared, and nowhere else.
    """
    compared = Case.FIRST_LOAD in trial.cases
    rounds = trial.size.peer_rounds if compared else 1
    for number in range(1, rounds + 1):
        if compared:
            await _student(trial, number)
            async with _dlt(trial, dlt_copy.PYARROW, number, tuned=False):
                pass
        if compared or Case.MEMORY in trial.cases:
            async with _dlt(trial, dlt_copy.PYARROW, number):
                pass
        async with _dlt(trial, dlt_copy.CONNECTORX, number) as copy:
            if number == rounds:
                yield copy


@asynccontextmanager
async def _dlt(trial: Trial, backend: str, number: int, *, tuned: bool = True) -> AsyncIterator[DltCopy]:
    contender, stand = DLT_TUNED[backend] if tuned else DLT, trial.stand
    trial.say(f"first load: {contender}, round {number}")
    folder = stand.folder / f"dlt-{backend}-{stand.orders}-{number}"
    folder.mkdir()
    async with stand.database(f"warehouse_{backend}") as warehouse:
        before = cpu_seconds(stand.server.pid)
        raw = await dlt_copy.load(stand.source, warehouse, backend, folder, tuned=tuned)
        cpu = {CLIENT: raw.usage.cpu_seconds, POSTGRES: cpu_seconds(stand.server.pid) - before}
        since = datetime.now(UTC).replace(tzinfo=None)
        record_load(trial, contender, RAW, raw.seconds, raw.rows, number)
        record_use(trial, contender, cpu, {CLIENT: raw.usage.peak_bytes}, number)
        if tuned and Case.FIRST_LOAD in trial.cases:
            trial.say(f"first load: the star from the copy of {contender}, round {number}")
            built = await star.build(warehouse, dlt_copy.DATASET)
            await require_equal(stand.source, warehouse, TABLES)
            record_load(trial, contender, RAW_AND_STAR, raw.seconds + built, raw.rows, number, verified=True)
        try:
            yield DltCopy(warehouse, folder, since)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder)


async def _student(trial: Trial, number: int) -> None:
    orders = trial.size.student_orders
    contender = student_script(orders)
    trial.say(f"first load: {contender}, round {number}")
    async with trial.stand.database("warehouse_student") as warehouse:
        run = await student.load(trial.stand.source, warehouse, orders)
    record_load(trial, contender, STAR, run.seconds, run.rows, number)
    record_use(trial, contender, {CLIENT: run.usage.cpu_seconds}, {}, number)
