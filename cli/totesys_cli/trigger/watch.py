"""Whether a stage has done a run since a moment, by the lake's records alone: no two clocks are compared."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from totesys.lake.records import Failure
from totesys.lake.store import Lake
from totesys_cli.errors import StageFailed

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Watch:
    """A stage's work on a run, and what its records said when the watch began."""

    lake: Lake
    stage: str
    run: int
    _finished_at: datetime | None
    _failure: Failure | None

    @classmethod
    def new(cls, lake: Lake, stage: str, run: int) -> "Watch":
        """Watch a run that is new, whatever the stage has done with it meanwhile."""
        return cls(lake, stage, run, None, None)

    @classmethod
    async def undone(cls, lake: Lake, stage: str, run: int) -> "Watch":
        """Watch a run that the stage had not done a moment ago; only a later failure counts."""
        return cls(lake, stage, run, None, await lake.failure(run, stage))

    async def until_done(self) -> None:
        """Wait for the record of a later end. Raises StageFailed at a later failure that trying again does not mend."""
        while await _finished_at(self.lake, self.stage, self.run) in (None, self._finished_at):
            failure = await self.lake.failure(self.run, self.stage)
            if failure and failure != self._failure and not failure.transient:
                raise StageFailed(f"{self.stage} failed at run {self.run}: {failure.title}: {failure.detail}")
            await asyncio.sleep(_POLL_SECONDS)


async def _finished_at(lake: Lake, stage: str, run: int) -> datetime | None:
    record = await (lake.processed_manifest(run) if stage == "transform" else lake.load_record(run))
    return record.finished_at if record else None
