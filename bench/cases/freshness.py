"""How long a change of the source takes to be in the warehouse, while the company is at work and ticks go on."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import quantiles

from bench.measurement import Case
from bench.stand import require_equal
from bench.system import NotMeasurable, System, run_system
from bench.trial import Trial
from totesys.log_events import LogEvent
from totesys_simulation import Counts, simulate

TICK_SECONDS = 5.0
SEED = 2


@dataclass(frozen=True)
class Commit:
    """A transaction of the company: when its commit had returned, and its rows."""

    at: datetime
    rows: int


@dataclass(frozen=True)
class Cut:
    """A snapshot of the source, and when the warehouse showed it."""

    snapshot: datetime
    visible: datetime


@dataclass
class _Commits:
    seen: list[Commit] = field(default_factory=list)
    _rows: int = 0

    def take(self, totals: Counts) -> None:
        """What is new since the totals before."""
        self.seen.append(Commit(datetime.now(UTC), totals.rows - self._rows))
        self._rows = totals.rows


async def measure(trial: Trial) -> None:
    """Let the company write, tick, and record how old rows were when they became visible. Raises WrongResult."""
    size, stand = trial.size, trial.stand
    trial.say("freshness: a copy of the source, loaded")
    async with (
        stand.copy_of_source("living") as source,
        stand.database("warehouse") as warehouse,
        run_system(source, warehouse, stand.server.pid) as system,
    ):
        await system.extract()
        seconds = size.freshness_time.total_seconds()
        trial.say(f"freshness: {size.freshness_rate:g} rows a second for {seconds:.0f} s, a tick every 5 s")
        commits = _Commits()
        writing = asyncio.create_task(
            simulate(source, rate=size.freshness_rate, seconds=seconds, seed=SEED, on_commit=commits.take)
        )
        try:
            ticks = await _tick_until_done(system, writing)
        finally:
            writing.cancel()
        system.log.require_no_failure()
        trial.say("freshness: verification")
        await require_equal(source, warehouse)
        delays = delays_by_row(commits.seen, await _cuts(system))
    percents = quantiles(delays, n=100, method="inclusive")
    for subject, value in (("p50", percents[49]), ("p95", percents[94]), ("p99", percents[98]), ("worst", max(delays))):
        trial.record(Case.FRESHNESS, subject, "seconds", value, rows=len(delays), verified=True)
    trial.record(Case.FRESHNESS, "the company", "rows/s", len(delays) / seconds, rows=len(delays))
    trial.record(Case.FRESHNESS, "ticks", "count", ticks)


def delays_by_row(commits: Iterable[Commit], cuts: Sequence[Cut]) -> list[float]:
    """The seconds that each row took from its commit until the first snapshot after it was visible.

    Raises NotMeasurable if a row never was.
    """
    delays: list[float] = []
    for commit in commits:
        later = [cut.visible for cut in cuts if cut.snapshot >= commit.at]
        if not later:
            raise NotMeasurable(f"No snapshot is later than the commit at {commit.at}.")
        delays += [(min(later) - commit.at).total_seconds()] * commit.rows
    return delays


async def _tick_until_done(system: System, writing: "asyncio.Task[Counts]") -> int:
    """Tick at fixed times, whether or not the tick before is done, and once more after the last commit."""
    clock = asyncio.get_running_loop().time
    started, ticks = clock(), 0
    system.log.arrived.clear()
    while not writing.done():
        ticks += 1
        await asyncio.wait({writing}, timeout=max(0.0, started + ticks * TICK_SECONDS - clock()))
        if not writing.done():
            await system.pipeline.trigger("ingest", mode="changes")
    await writing
    # The last rows wait for their tick as long as all others.
    await asyncio.sleep(max(0.0, started + ticks * TICK_SECONDS - clock()))
    await system.pipeline.extract()
    return ticks


async def _cuts(system: System) -> list[Cut]:
    """Every snapshot that became visible as a whole: that of each extraction, with its last run."""
    loaded = {
        event.fields["run"]: datetime.fromisoformat(event.fields["timestamp"])
        for _, event in system.log.arrived
        if event.service == "load" and event.name == LogEvent.RUN_COMPLETED
    }
    extractions = [
        event.fields["runs"] for _, event in system.log.arrived if event.name == LogEvent.EXTRACTION_COMPLETED
    ]
    return [Cut((await system.pipeline.run(runs[-1])).snapshot_time, loaded[runs[-1]]) for runs in extractions if runs]
