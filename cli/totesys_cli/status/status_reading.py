"""The status of the pipeline, read from the lake and the queues."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from aiobotocore.session import get_session
from pydantic import AwareDatetime, BaseModel, computed_field

from totesys.aws_client import CLIENT_CONFIG
from totesys.lake.quarantine_parts import quarantined_runs, quarantined_tables
from totesys.lake.records import Manifest, VerificationRecord
from totesys.lake.store import Lake
from totesys.service.queue import Queue
from totesys.service.runs import run_detail
from totesys.stage_names import STAGES
from totesys.transactions import LONG_OPEN
from totesys_cli.data_plane_clients import aws_errors, client_options
from totesys_cli.options import DataPlaneLocation
from totesys_cli.status.alert_recipients import has_alert_recipient
from totesys_cli.status.backlog import Backlog, read_backlog
from totesys_cli.terminal import duration

# The promised freshness.
PROMISE = timedelta(minutes=30)
NO_RECIPIENT = (
    "Nobody receives the alarms: no address has confirmed its subscription. Follow the link in the e-mail from AWS "
    "Notifications; if it is older than three days, deploy again."
)
# Only so many of the newest run numbers are searched for quarantined rows.
RECENT_RUNS = 10_000


class StageStatus(BaseModel):
    """A stage: the last run it processed, how many runs wait for it, and why the oldest of them failed, if it did."""

    stage: str
    run: int | None = None
    finished_at: AwareDatetime | None = None
    rows: int = 0
    seconds: float | None = None
    waiting: int = 0
    error: str | None = None


class QueueStatus(BaseModel):
    """A stage's queues: about how many messages wait, are in flight, and are dead letters."""

    stage: str
    waiting: int
    in_flight: int
    dead_letters: int


class QuarantineStatus(BaseModel):
    """The lake's quarantine: how many of the newest 10,000 runs have rows there, and the tables of all runs."""

    runs: int
    tables: tuple[str, ...]


class VerificationStatus(BaseModel):
    """The last verification. `wrong` counts rows that differ from the source."""

    started_at: AwareDatetime
    run: int | None
    equal: bool
    compared: int
    wrong: int


class OpenTransactionStatus(BaseModel):
    """The oldest transaction of the source that was open at the last run, and for at least how many seconds."""

    holder: str
    since: AwareDatetime
    seconds: float


class Status(BaseModel):
    """The pipeline at the time `at`.

    The warehouse shows the source as of `as_of`, the snapshot of `run`, `fresh` seconds ago. All three are None if
    nothing has been loaded; `verification` is None before the first one.
    """

    at: AwareDatetime
    run: int | None
    as_of: AwareDatetime | None
    fresh: float | None
    stages: list[StageStatus]
    queues: list[QueueStatus]
    quarantine: QuarantineStatus
    verification: VerificationStatus | None
    open_transaction: OpenTransactionStatus | None = None
    # Whether anybody gets the alarms' e-mails; None where that is unknown.
    alerts_confirmed: bool | None = None

    @property
    def is_late(self) -> bool:
        """Whether the warehouse is older than promised."""
        return self.fresh is not None and self.fresh > PROMISE.total_seconds()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def problems(self) -> list[str]:
        """What needs attention, a line for each; quarantined rows do not."""
        return list(_problems(self))


async def read_status(location: DataPlaneLocation, lake: Lake) -> Status:
    """The status now. Raises as `aws_errors` does."""
    backlog = await read_backlog(lake)
    shown, newest, stages, queues, quarantine, verifications = await asyncio.gather(
        _shown(lake, backlog.newest_shown),
        lake.newest_manifest(),
        _stages(lake, backlog),
        _queues(location),
        _quarantine(lake),
        lake.verifications(1),
    )
    at = datetime.now(UTC)
    return Status(
        at=at,
        run=shown.run if shown else None,
        as_of=shown.snapshot_time if shown else None,
        # The difference of two clocks, which `totesys doctor` compares.
        fresh=max(0.0, (at - shown.snapshot_time).total_seconds()) if shown else None,
        stages=stages,
        queues=queues,
        quarantine=quarantine,
        verification=verification_status(verifications[0]) if verifications else None,
        open_transaction=_open_transaction(newest),
        alerts_confirmed=await has_alert_recipient(location),
    )


def verification_status(record: VerificationRecord) -> VerificationStatus:
    """The totals of a verification's record."""
    compared = sum(table.compared for table in record.tables.values())
    return VerificationStatus(
        started_at=record.started_at,
        run=record.run,
        equal=record.equal,
        compared=compared,
        wrong=compared - sum(table.equal for table in record.tables.values()),
    )


def _problems(status: Status) -> Iterator[str]:
    if status.fresh is None:
        yield "Nothing is in the warehouse yet."
    elif status.is_late:
        yield f"The warehouse is {duration(status.fresh)} old; {PROMISE.seconds // 60} minutes are promised."
    for stage in status.stages:
        if stage.error:
            yield f"{stage.stage} failed at {stage.error}"
    for queue in status.queues:
        if queue.dead_letters:
            yield f"{queue.stage} has {queue.dead_letters:,} dead letters: totesys dlq list {queue.stage}"
    if status.verification and not status.verification.equal:
        yield f"The last verification found {status.verification.wrong:,} wrong rows: totesys verify --repair"
    if status.alerts_confirmed is False:
        yield NO_RECIPIENT
    found = status.open_transaction
    if found and found.seconds > LONG_OPEN.total_seconds():
        yield f"A transaction of the source has been open for {duration(found.seconds)}: {found.holder}"


async def _shown(lake: Lake, newest: int) -> Manifest | None:
    """The newest complete run that the warehouse shows: of a snapshot in several runs, only the last is complete."""
    while newest > 0:
        manifest = await lake.manifest(newest)
        if manifest is None or manifest.complete:
            return manifest
        newest = await lake.newest_ingested(manifest.extraction - 1)
    return None


async def _stages(lake: Lake, backlog: Backlog) -> list[StageStatus]:
    pending = {"ingest": [], "transform": backlog.for_transform, "load": backlog.for_load}
    last = {
        "ingest": max(backlog.later, default=backlog.loaded),
        "transform": max(backlog.transformed, default=backlog.loaded),
        "load": backlog.loaded,
    }
    return list(await asyncio.gather(*(_stage(lake, stage, last[stage], pending[stage]) for stage in STAGES)))


async def _stage(lake: Lake, stage: str, last: int, pending: list[int]) -> StageStatus:
    detail = await run_detail(lake, last) if last else None
    state = detail.stages.get(stage) if detail else None
    failure = await lake.failure(pending[0], stage) if pending else None
    return StageStatus(
        stage=stage,
        run=last if state else None,
        finished_at=state.finished_at if state else None,
        rows=state.rows if state else 0,
        seconds=state.seconds if state else None,
        waiting=len(pending),
        error=f"run {failure.run}: {failure.title}: {failure.detail}" if failure else None,
    )


async def _queues(location: DataPlaneLocation) -> list[QueueStatus]:
    with aws_errors("AWS"):
        async with get_session().create_client("sqs", config=CLIENT_CONFIG, **client_options(location)) as client:

            async def url(name: str) -> str:
                with aws_errors(name):
                    return (await client.get_queue_url(QueueName=name))["QueueUrl"]

            async def read(stage: str) -> QueueStatus:
                names = location.queue(stage), location.dead_letter_queue(stage)
                depth, dead = await Queue(client, *await asyncio.gather(*map(url, names))).depths()
                return QueueStatus(
                    stage=stage,
                    waiting=depth.waiting,
                    in_flight=depth.in_flight,
                    dead_letters=dead.waiting + dead.in_flight,
                )

            return list(await asyncio.gather(*map(read, STAGES)))


async def _quarantine(lake: Lake) -> QuarantineStatus:
    last = await lake.last_number()
    recent = [run async for run in quarantined_runs(lake, last + 1, after=last - RECENT_RUNS)]
    return QuarantineStatus(runs=len(recent), tables=tuple(await quarantined_tables(lake)))


def _open_transaction(newest: Manifest | None) -> OpenTransactionStatus | None:
    """The oldest open transaction in the newest run's record, empty or not."""
    found = newest.open_transaction if newest else None
    if newest is None or found is None:
        return None
    seconds = found.age(newest.snapshot_time).total_seconds()
    return OpenTransactionStatus(holder=found.holder, since=found.since, seconds=seconds)
