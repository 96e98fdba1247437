"""A running system with all that may happen to it: two databases, a lake, replicas behind wires, writers, a reader."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, wait_fixed

from tests.faults.audited import MODEL, leave_probe, make_audited_company
from tests.faults.history import deviation
from tests.faults.reader import Reader, reading
from tests.faults.replica import LONGEST_WAIT, POLL, Replica
from tests.faults.report import Outcome
from tests.faults.writers import hash_of, writing
from tests.processes import environment
from tests.sources import until_there_is, verified
from totesys.connection import connect
from totesys.errors import TotesysError
from totesys.stage_names import STAGES
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

P = ParamSpec("P")
R = TypeVar("R")

MODEL_NAME = "tests.faults.audited"
ROOT = Path(__file__).parents[2]
SCALE = 0.01
TICK = 1.0
# With so many messages in a queue its stage is down or behind.
WAITING_MESSAGES = 2
DSN_SETTINGS = {"ingest": "TOTESYS_SOURCE_DSN", "transform": None, "load": "TOTESYS_WAREHOUSE_DSN"}
# As everywhere else, but for the periods: what heals within minutes is to be seen within seconds.
SETTINGS = {"visibility": "PT20S", "long_poll": "PT5S", "resync": "PT3S", "shutdown_grace": "PT2S"}


@dataclass
class World:
    """The system. `replicas` are the running services, by stage."""

    emulator: Emulator
    plane: LocalDataPlane
    source: str
    warehouse: str
    seed: str
    replicas: dict[str, list[Replica]] = field(default_factory=dict)
    # What was sent on purpose to end as a dead letter.
    rubbish: set[str] = field(default_factory=set)
    _reader: Reader | None = None
    _dead: set[str] = field(default_factory=set)
    _trials: Iterator[int] = field(default_factory=count)

    def replica(self, stage: str) -> Replica:
        """The first replica of a stage."""
        return self.replicas[stage][0]

    @asynccontextmanager
    async def running(
        self, folder: Path, *, replicas: int = 1, endpoint_url: str | None = None, **settings: str
    ) -> AsyncIterator["World"]:
        """With so many replicas of each service, a tick again and again, and a reader. `settings` are the services'."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._replicas(folder, replicas, endpoint_url, settings))
            self._reader = await stack.enter_async_context(reading(self.source, self.warehouse))
            ticking = asyncio.create_task(self._tick())
            stack.callback(ticking.cancel)
            await self.recovery()
            yield self

    @asynccontextmanager
    async def _replicas(
        self, folder: Path, number: int, endpoint_url: str | None, settings: Mapping[str, str]
    ) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            dsns = {"source_dsn": self.source, "warehouse_dsn": self.warehouse}
            given = {**SETTINGS, **dsns, "model": MODEL_NAME, **settings}
            for stage in STAGES:
                variables = environment(stage, self.plane, **given) | {"PYTHONPATH": str(ROOT)}
                self.replicas[stage] = [
                    Replica(stage, variables, folder / f"{stage}-{turn}.log") for turn in range(number)
                ]
                for replica in self.replicas[stage]:
                    wired = replica.wired(endpoint_url or self.emulator.endpoint_url, DSN_SETTINGS[stage])
                    await stack.enter_async_context(wired)
            everyone = [replica for replicas in self.replicas.values() for replica in replicas]
            for replica in everyone:
                stack.push_async_callback(replica.stop)
            await asyncio.gather(*(replica.start() for replica in everyone))
            yield

    async def _tick(self) -> None:
        """As the schedule does, only more often; straight to the queue, whatever the services' wires carry.

        No tick comes while a stage is behind: on a slow machine it would work on runs for ever, and get to no message.
        """
        queues = [getattr(self.plane, f"{stage}_queue_url") for stage in STAGES]
        while True:
            if max(await asyncio.gather(*map(self.waiting, queues))) < WAITING_MESSAGES:
                await self.send(self.plane.ingest_queue_url, '{"mode": "changes", "trigger": "schedule"}')
            await asyncio.sleep(TICK)

    async def send(self, queue_url: str, body: str) -> None:
        """Queue a message."""
        await asyncio.to_thread(self.emulator.sqs.send_message, QueueUrl=queue_url, MessageBody=body)

    async def send_rubbish(self, stage: str) -> None:
        """Queue a message that ends in the dead-letter queue."""
        body = f"rubbish {len(self.rubbish)}"
        self.rubbish.add(body)
        await self.send(getattr(self.plane, f"{stage}_queue_url"), body)

    async def waiting(self, queue_url: str) -> int:
        """How many messages wait in a queue, those at work not counted."""
        answer = await asyncio.to_thread(
            self.emulator.sqs.get_queue_attributes, QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    @asynccontextmanager
    async def trial(self, outcome: Outcome, *, at_rest: bool = False) -> AsyncIterator[None]:
        """Writers are at work, unless `at_rest`, as long as the block lasts. After it, nothing may differ."""
        before = await self.loaded()
        looks = len(self._look.half_runs)
        async with AsyncExitStack() as stack:
            if not at_rest:
                await stack.enter_async_context(writing(self.source, f"{self.seed}/{next(self._trials)}"))
            yield
        await self.recovery()
        outcome.runs += len(await self.loaded() - before)
        outcome.half_runs += len(self._look.half_runs) - looks
        async with connect("The source", self.source) as source, connect("The warehouse", self.warehouse) as warehouse:
            found = await deviation(source, warehouse)
        outcome.lost += found.lost
        outcome.double += found.double
        letters = await self._dead_letters() - self.rubbish
        outcome.dead_letters += len(letters)
        assert not found.examples
        assert not self._look.half_runs[looks:]
        assert not letters
        assert await verified(self.source, self.warehouse, MODEL)

    @property
    def _look(self) -> Reader:
        assert self._reader is not None
        return self._reader

    async def recovery(self, since: float | None = None) -> float:
        """Wait until a change that is made now is in the warehouse; the seconds since `since` (default: now)."""
        started = time.monotonic() if since is None else since
        async with asyncio.timeout(LONGEST_WAIT):
            probe = await _in_spite_of_outages(self._leave_probe)
            await _in_spite_of_outages(self._arrival, probe)
        return time.monotonic() - started

    async def _leave_probe(self) -> int:
        async with connect("The source", self.source) as source:
            return await leave_probe(source)

    async def _arrival(self, probe: int) -> None:
        async with connect("The warehouse", self.warehouse) as warehouse:
            await until_there_is(warehouse, "SELECT WHERE to_regclass('warehouse.fact_audit') IS NOT NULL")
            await until_there_is(warehouse, f"SELECT FROM warehouse.fact_audit WHERE audit_id = {probe}")

    async def loaded(self) -> set[int]:
        """The runs that are in the warehouse."""
        async with connect("The warehouse", self.warehouse) as warehouse:
            return {row["run"] for row in await warehouse.fetch("SELECT run FROM etl.run")}

    async def until_loaded(self, runs: int) -> None:
        """Wait until so many more runs are in the warehouse."""
        loaded = len(await self.loaded())
        async with asyncio.timeout(LONGEST_WAIT), connect("The warehouse", self.warehouse) as warehouse:
            await until_there_is(warehouse, f"SELECT FROM etl.run HAVING count(*) >= {loaded + runs}")

    async def _dead_letters(self) -> set[str]:
        for stage in STAGES:
            url = getattr(self.plane, f"{stage}_dlq_url")
            while messages := await asyncio.to_thread(self._receive, url):
                self._dead |= {message["Body"] for message in messages}
                for message in messages:
                    self.emulator.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return self._dead

    def _receive(self, url: str) -> "list[MessageTypeDef]":
        return self.emulator.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])


async def _in_spite_of_outages(ask: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
    asks = AsyncRetrying(retry=retry_if_exception_type(TotesysError), wait=wait_fixed(POLL))
    return await asks(ask, *args, **kwargs)


async def make_world(emulator: Emulator, plane: LocalDataPlane, source: str, warehouse: str, seed: str) -> World:
    """The company's audited past in an empty source database, and nothing running yet."""
    async with connect("The source", source) as connection:
        await make_audited_company(connection, seed=hash_of(seed), scale=SCALE)
    return World(emulator, plane, source, warehouse, seed)
