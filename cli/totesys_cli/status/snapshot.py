"""What the status says."""

from pydantic import AwareDatetime, BaseModel

from totesys.lake.records import Manifest, VerificationRecord


class StageStatus(BaseModel):
    """A stage: the last run that it has done, how many wait for it, and why the oldest of them failed, if it did."""

    stage: str
    run: int | None = None
    finished_at: AwareDatetime | None = None
    rows: int = 0
    seconds: float | None = None
    waiting: int = 0
    error: str | None = None


class QueueStatus(BaseModel):
    """A stage's queue and dead-letter queue: about how many messages wait, are at work, and were given up."""

    stage: str
    waiting: int
    at_work: int
    dead_letters: int


class QuarantineStatus(BaseModel):
    """The lake's quarantine: how many of the newest 10,000 runs have rows there, and of which tables any run has."""

    runs: int
    tables: tuple[str, ...]


class VerificationStatus(BaseModel):
    """The last verification. `wrong` are rows that are not as the source has them."""

    started_at: AwareDatetime
    run: int | None
    equal: bool
    compared: int
    wrong: int


class OpenTransactionStatus(BaseModel):
    """The oldest transaction of the source that was open at the last run, and for how many seconds at the least."""

    holder: str
    since: AwareDatetime
    seconds: float


class Status(BaseModel):
    """The pipeline at the moment `at`.

    The warehouse shows the source as it was at `as_of`, the snapshot of `run`; `fresh` is how many seconds ago that
    was. All three are None where nothing has been loaded. Without any verification `verification` is None.
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


def open_transaction_status(newest: Manifest | None) -> OpenTransactionStatus | None:
    """What the newest run, empty or not, says of transactions in progress."""
    if newest is None or newest.open_transaction is None:
        return None
    found = newest.open_transaction
    seconds = found.age(newest.snapshot_time).total_seconds()
    return OpenTransactionStatus(holder=found.holder, since=found.since, seconds=seconds)


def verification_status(record: VerificationRecord) -> VerificationStatus:
    """A verification's record, counted."""
    compared = sum(table.compared for table in record.tables.values())
    return VerificationStatus(
        started_at=record.started_at,
        run=record.run,
        equal=record.equal,
        compared=compared,
        wrong=compared - sum(table.equal for table in record.tables.values()),
    )
