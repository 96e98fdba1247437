"""The lake as the services see it: run numbers, the records of runs, and what is pending."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from aiobotocore.session import get_session
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from totesys.aws_client import CLIENT_CONFIG
from totesys.errors import CorruptObject, LakeUnavailable, TotesysError
from totesys.lake import keys
from totesys.lake.bucket import Bucket, UnchangedBucket
from totesys.lake.keys import intervals_back
from totesys.lake.records import (
    Failure,
    LoadRecord,
    Manifest,
    ProcessedManifest,
    Record,
    ReplayRecord,
    RunCounter,
    RunRecord,
    VerificationRecord,
    parse_record,
    to_json,
)
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.run_work import RunWork, begin

log = logger("totesys.lake")

R = TypeVar("R", bound=Record)
Q = TypeVar("Q", bound=RunRecord)

# How many run numbers the first listing for the newest record covers.
LOOK_BACK = 100

# Without its manifest a run does not exist: ingest then starts where the last remaining run ended. It must be stopped
# meanwhile, since a run that it commits would wait forever for a deleted one.
INGEST_REMEDY = (
    "Restore it. If you can't: stop ingest, delete manifest.json and empty.json of its run and of all later runs in "
    "both buckets, and start ingest again. Its next extraction brings the current state of their rows."
)
PROCESSED_REMEDY = "Restore it, or replay its run in transform."


class _RunNumberTaken(LakeUnavailable):
    """Another writer changed the run number meanwhile."""


@dataclass(frozen=True)
class Lake:
    """The ingest bucket, which holds CSV, and the processed bucket, which holds Parquet."""

    ingest: Bucket
    processed: Bucket

    async def check(self) -> None:
        """Check that both buckets answer."""
        for bucket in (self.ingest, self.processed):
            await bucket.get(keys.RUN_NUMBER)

    async def counter(self) -> RunCounter | None:
        """The record of the last assigned run number; None in a lake without runs."""
        return await _read(self.ingest, RunCounter, keys.RUN_NUMBER)

    @retry(
        retry=retry_if_exception_type(_RunNumberTaken),
        wait=wait_random_exponential(multiplier=0.02, max=1),
        stop=stop_after_delay(60),
        reraise=True,
    )
    async def claim_run_number(self) -> RunCounter:
        """The next run number, which no other caller gets.

        Raises LakeUnavailable, or CorruptObject in a lake that has runs but no run number.
        """
        found = await self.ingest.get_with_etag(keys.RUN_NUMBER)
        if found is None:
            await self._check_new()
            claimed = RunCounter(lake=uuid4(), last=1)
            won = await self.ingest.put_new(keys.RUN_NUMBER, to_json(claimed))
        else:
            before = parse_record(RunCounter, keys.RUN_NUMBER, found[0])
            claimed = RunCounter(lake=before.lake, last=before.last + 1)
            won = await self.ingest.put_instead(keys.RUN_NUMBER, to_json(claimed), found[1])
        if not won:
            raise _RunNumberTaken(f"{self.ingest.where(keys.RUN_NUMBER)} is changed by others again and again.")
        return claimed

    async def _check_new(self) -> None:
        # Starting from 1 again would overwrite the parts of earlier runs.
        async for _ in self.ingest.keys(keys.RUNS, at_once=1):
            runs = await self.ingested()
            if runs and await self.counter() is None:
                raise CorruptObject(
                    f"{self.ingest.where(keys.RUN_NUMBER)} is missing, but the lake has runs up to {max(runs)}. "
                    "Restore it: `lake` is in every manifest, and `last` is the highest run number."
                )
            return

    async def newest_manifest(self) -> Manifest | None:
        """The record of the newest run that ingest committed, empty or not."""
        newest = await self.newest_ingested(await self.last_number())
        return await self.manifest(newest) if newest else None

    async def last_number(self) -> int:
        """The last assigned run number; 0 in a lake without runs."""
        counter = await self.counter()
        return counter.last if counter else 0

    async def newest_ingested(self, upper: int) -> int:
        """The newest run up to `upper` that ingest committed, empty or not; 0 if there is none."""
        for after, upto in intervals_back(upper, LOOK_BACK):
            if runs := await self.ingested(after, upto):
                return max(runs)
        return 0

    async def newest_loaded(self) -> int:
        """The newest run that load has recorded; 0 if there is none. All runs before are loaded, too."""
        for after, upto in intervals_back(await self.last_number(), LOOK_BACK):
            if runs := await self.loaded_runs(after, upto):
                return runs[-1]
        return 0

    async def ingested(self, after: int = 0, upto: int | None = None) -> dict[int, bool]:
        """The runs after `after`, up to `upto`, that ingest committed, in order, and whether each is empty."""
        return {
            run: keys.MANIFEST not in names
            async for run, names in _records(self.ingest, after, upto)
            if names & {keys.MANIFEST, keys.EMPTY}
        }

    async def runs_with_parts(self, after: int, upto: int) -> AsyncGenerator[int, None]:
        """The runs after `after`, up to `upto`, that have parts, in order."""
        async with aclosing(_records(self.ingest, after, upto)) as records:
            async for run, names in records:
                if keys.MANIFEST in names:
                    yield run

    async def processed_runs(self, after: int = 0, upto: int | None = None) -> list[int]:
        """The runs after `after`, up to `upto`, that transform committed, in order."""
        return [run async for run, names in _records(self.processed, after, upto) if keys.MANIFEST in names]

    async def loaded_runs(self, after: int = 0, upto: int | None = None) -> list[int]:
        """The runs after `after`, up to `upto`, that load has recorded, in order."""
        return [run async for run, names in _records(self.processed, after, upto) if keys.LOAD in names]

    async def manifest(self, run: int) -> Manifest | None:
        """Ingest's record of a run; None if it committed none."""
        for name in (keys.MANIFEST, keys.EMPTY):
            if found := await _read_of_run(self.ingest, Manifest, run, name):
                return found
        return None

    async def processed_manifest(self, run: int) -> ProcessedManifest | None:
        """Transform's record of a run; None if it committed none."""
        return await _read_of_run(self.processed, ProcessedManifest, run, keys.MANIFEST)

    async def load_record(self, run: int) -> LoadRecord | None:
        """Load's record of a run; None if there is none."""
        return await _read_of_run(self.processed, LoadRecord, run, keys.LOAD)

    async def commit(self, manifest: Manifest) -> None:
        """Commit a run. The event of this write triggers transform, unless the run is empty.

        Raises CorruptObject if the run has a record already.
        """
        key = keys.record_key(manifest.run, keys.EMPTY if manifest.empty else keys.MANIFEST)
        if not await self.ingest.put_new(key, to_json(manifest)):
            raise CorruptObject(
                f"{self.ingest.where(key)} exists already, so run {manifest.run} has two writers. Keep one ingest."
            )

    async def commit_processed(self, manifest: ProcessedManifest, *, again: bool = False) -> None:
        """Commit a run's Parquet. The event triggers load. The first write wins, unless it is done `again`."""
        key = keys.record_key(manifest.run, keys.MANIFEST)
        if again:
            await self.processed.put(key, to_json(manifest))
        else:
            await self.processed.put_new(key, to_json(manifest))

    async def put_load_record(self, record: LoadRecord) -> None:
        """Record what load did with a run."""
        await self.processed.put(keys.record_key(record.run, keys.LOAD), to_json(record))

    async def put_verification(self, record: VerificationRecord) -> None:
        """Record the result of a verification."""
        await self.processed.put(keys.verification_key(record.started_at), to_json(record))

    async def verifications(self, limit: int) -> list[VerificationRecord]:
        """The records of the last verifications, newest first."""
        known = await self._newest_verifications(limit)
        found = [await _read(self.processed, VerificationRecord, key) for key in reversed(known[-limit:])]
        return [record for record in found if record is not None]

    async def _newest_verifications(self, limit: int) -> list[str]:
        """The keys of at least `limit` verifications, if there are so many: of 1 day, 2 days, 4 days, and so on."""
        async for first in self.processed.keys(keys.VERIFICATIONS, at_once=1):
            for power in range(15):
                after = keys.verification_key(datetime.now(UTC) - timedelta(days=2**power))
                known = [key async for key in self.processed.keys(keys.VERIFICATIONS, after)]
                if len(known) >= limit or after < first:
                    return known
        return []

    async def replay(self, stage: str, name: str) -> ReplayRecord | None:
        """The progress of a replay in a stage; None if it has not started."""
        return await _read(self.processed, ReplayRecord, keys.replay_key(stage, name))

    async def put_replay(self, stage: str, name: str, record: ReplayRecord) -> None:
        """Record the progress of a replay in a stage."""
        await self.processed.put(keys.replay_key(stage, name), to_json(record))

    async def failure(self, run: int, stage: str) -> Failure | None:
        """The last failure of a stage on a run; None if there is none."""
        return await _read(self.processed, Failure, keys.record_key(run, keys.failure_name(stage)))

    @asynccontextmanager
    async def failures_recorded(self, run: int, stage: str) -> AsyncIterator[RunWork]:
        """Record an error of the block as the stage's failure on the run, and re-raise it.

        The block is the stage's work on the run, which is reported as such.
        """
        work = begin(stage, run)
        try:
            yield work
        except BaseException as error:
            work.end(error)
            # Where nothing can be read, nothing can be written.
            if isinstance(error, TotesysError) and not isinstance(error, LakeUnavailable):
                await self._record_failure(run, stage, error)
            raise
        work.end()

    async def _record_failure(self, run: int, stage: str, error: TotesysError) -> None:
        failure = failure_of(run, stage, error)
        try:
            await self.processed.put(keys.record_key(run, keys.failure_name(stage)), to_json(failure))
        except TotesysError as unwritten:
            log.warning(
                LogEvent.FAILURE_RECORDING_FAILED, run=run, stage=stage, failure=str(error), error=str(unwritten)
            )


@asynccontextmanager
async def open_lake(
    ingest_bucket: str, processed_bucket: str, *, read_only: bool = False, **client: Any
) -> AsyncIterator[Lake]:
    """The lake in two buckets. With `read_only`, writes do nothing.

    Endpoint, region and credentials are the AWS client's own settings, or those in `client`, as `create_client` takes.
    """
    kind = UnchangedBucket if read_only else Bucket
    async with get_session().create_client("s3", config=CLIENT_CONFIG, **client) as s3:
        yield Lake(kind(s3, ingest_bucket, INGEST_REMEDY), kind(s3, processed_bucket, PROCESSED_REMEDY))


def failure_of(run: int, stage: str, error: TotesysError) -> Failure:
    """The record of a stage's error on a run."""
    return Failure(
        run=run,
        stage=stage,
        title=error.title,
        detail=str(error),
        transient=error.transient,
        failed_at=datetime.now(UTC),
    )


async def _read_of_run(bucket: Bucket, kind: type[Q], run: int, name: str) -> Q | None:
    """A run's record. Raises CorruptObject for the record of another run, which was copied or renamed."""
    key = keys.record_key(run, name)
    record = await _read(bucket, kind, key)
    if record is not None and record.run != run:
        raise CorruptObject(f"{bucket.where(key)} is the record of run {record.run}. Restore the one of run {run}.")
    return record


async def _read(bucket: Bucket, kind: type[R], key: str) -> R | None:
    body = await bucket.get(key)
    return None if body is None else parse_record(kind, bucket.where(key), body)


async def _records(bucket: Bucket, after: int, upto: int | None) -> AsyncGenerator[tuple[int, set[str]], None]:
    """The runs after `after`, up to `upto`, in order, each with the names of its records."""
    current, names = 0, set[str]()
    async for key in bucket.keys(keys.RUNS, keys.after_run(after)):
        parsed = keys.parse_record_key(key)
        if parsed is None:
            continue
        run, name = parsed
        if run != current:
            if names:
                yield current, names
            current, names = run, set()
        if upto is not None and run > upto:
            break
        names.add(name)
    if names:
        yield current, names
