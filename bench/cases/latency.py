"""Freshness: the time from a commit in the source until it is visible, while the source is being written to."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import quantiles

from bench.bench_server import require_equal
from bench.measurement import Case
from bench.system import NotMeasurable, System, run_system
from bench.trial import Trial
from totesys.log_events import LogEvent
from totesys_simulation import Counts, simulate

TICK_SECONDS = 5.0
SEED = 2


@dataclass(frozen=True)
class SourceCommit:
    """A transaction of the source: the time when its commit returned, and its rows."""

    at: datetime
    rows: int


@dataclass(frozen=True)
class VisibleSnapshot:
    """A snapshot of the source, and when the warehouse showed it."""

    snapshot: datetime
    visible: datetime


async def measure(trial: Trial) -> None:
    """Write to the source, tick, and record the age of rows when they became visible. Raises WrongResult."""
    size, server = trial.size, trial.server
    trial.say("freshness: a copy of the source, loaded")
    async with (
        server.copy_of_source("living") as source,
        server.database("warehouse") as warehouse,
        run_system(source, warehouse, server.postgres.pid) as system,
    ):
        await system.extract()
        seconds = size.freshness_time.total_seconds()
        trial.say(f"freshness: {size.freshness_rate:g} rows a second for {seconds:.0f} s, a tick every 5 s")
        commits, rows = list[SourceCommit](), 0

        def take(totals: Counts) -> None:
            nonlocal rows
            commits.append(SourceCommit(datetime.now(UTC), totals.rows - rows))
            rows = totals.rows

        writing = asyncio.create_task(
            simulate(source, rate=size.freshness_rate, seconds=seconds, seed=SEED, on_commit=take)
        )
        try:
            ticks = await _tick_until_done(system, writing)
        finally:
            writing.cancel()
        system.log.require_no_failure()
        trial.say("freshness: verification")
        await require_equal(source, warehouse)
        delays = delays_by_row(commits, await _snapshots(system))
    percents = quantiles(delays, n=100, method="inclusive")
    for subject, value in (("p50", percents[49]), ("p95", percents[94]), ("p99", percents[98]), ("worst", max(delays))):
        trial.record(Case.FRESHNESS, subject, "seconds", value, rows=len(delays), verified=True)
    trial.record(Case.FRESHNESS, "the source", "rows/s", len(delays) / seconds, rows=len(delays))
    trial.record(Case.FRESHNESS, "ticks", "count", ticks)


def delays_by_row(commits: Iterable[SourceCommit], snapshots: Sequence[VisibleSnapshot]) -> list[float]:
    """The seconds of each row from its commit until the first snapshot after it was visible.

    Raises NotMeasurable if a row never became visible.
    """
    delays: list[float] = []
    for commit in commits:
        later = [one.visible for one in snapshots if one.snapshot >= commit.at]
        if not later:
            raise NotMeasurable(f"No snapshot is later than the commit at {commit.at}.")
        delays += [(min(later) - commit.at).total_seconds()] * commit.rows
    return delays


async def _tick_until_done(system: System, writing: "asyncio.Task[Counts]") -> int:
    """Tick at fixed times, whether or not the previous tick is done, and once more after the last commit."""
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


async def _snapshots(system: System) -> list[VisibleSnapshot]:
    """The snapshot of each extraction, which became visible with its last run."""
    loaded = {
        event.fields["run"]: datetime.fromisoformat(event.fields["timestamp"])
        for _, event in system.log.arrived
        if event.service == "load" and event.name == LogEvent.RUN_COMPLETED
    }
    extractions = [
        event.fields["runs"] for _, event in system.log.arrived if event.name == LogEvent.EXTRACTION_COMPLETED
    ]
    return [
        VisibleSnapshot((await system.pipeline.run(runs[-1])).snapshot_time, loaded[runs[-1]])
        for runs in extractions
        if runs
    ]
