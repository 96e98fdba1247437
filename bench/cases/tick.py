"""The time of a tick for a number of changed rows, with a large source behind them."""

from collections.abc import Mapping
from typing import Any

from bench.bench_server import require_equal
from bench.cases.load_speed import Tick
from bench.generated_source import change
from bench.measurement import SCAN, TOTESYS, Case
from bench.peers import postgres_alone
from bench.system import System
from bench.trial import Trial


async def measure(trial: Trial, system: System, peers: Mapping[str, Tick]) -> None:
    """Change rows, then let our system and the peers bring them over, beside one scan of the source in the same round.

    Raises WrongResult, NotMeasurable, StageFailed or CommandFailed.
    """
    counts = trial.size.changed_rows
    rounds = {
        rows: [await _round(trial, system, peers, rows, number) for number in range(1, trial.size.tick_rounds + 1)]
        for rows in counts
    }
    trial.say("tick: verification")
    await require_equal(system.databases.source, system.databases.warehouse)
    for rows in counts:
        for number, seconds in enumerate(rounds[rows], 1):
            for contender, value in seconds.items():
                verified = True if contender == TOTESYS else None
                more: dict[str, Any] = {"contender": contender, "round": number, "rows": rows, "verified": verified}
                trial.record(Case.TICK, f"{rows:,} changed rows", "seconds", value, **more)


async def _round(trial: Trial, system: System, peers: Mapping[str, Tick], rows: int, number: int) -> dict[str, float]:
    """The seconds of each contender for the same changes."""
    trial.say(f"tick: {rows:,} changed rows, round {number}")
    source, seconds = trial.server.source, {}
    # Every round changes other rows.
    await change(source, rows, seed=rows * trial.size.tick_rounds + number)
    # The first reader of changed rows sets their hint bits: each contender is first in every other round.
    for contender in (SCAN, TOTESYS) if number % 2 else (TOTESYS, SCAN):
        if contender == SCAN:
            seconds[SCAN] = await postgres_alone.scan(source)
        else:
            seconds[TOTESYS] = (await system.extract()).seconds
    for contender, tick in peers.items():
        seconds[contender] = await tick()
    return seconds
