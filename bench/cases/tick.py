"""How long a tick takes, for so many changed rows, with a big source behind them."""

from bench.cases.peer_loads import DltCopy
from bench.changes import change
from bench.contenders import DLT_TUNED, SCAN, TOTESYS
from bench.measurement import Case
from bench.peers import dlt_copy, pipe
from bench.stand import require_equal
from bench.system import System
from bench.trial import Trial


async def measure(trial: Trial, system: System, copy: DltCopy) -> None:
    """Change rows, then let our system and dlt bring them over, beside one scan of the source in the same round.

    Raises WrongResult, NotMeasurable, StageFailed or CommandFailed.
    """
    counts = trial.size.changed_rows
    rounds = {
        rows: [await _round(trial, system, copy, rows, number) for number in range(1, trial.size.tick_rounds + 1)]
        for rows in counts
    }
    trial.say("tick: verification")
    await require_equal(system.databases.source, system.databases.warehouse)
    for rows in counts:
        for number, seconds in enumerate(rounds[rows], 1):
            for contender, value in seconds.items():
                trial.record(
                    Case.TICK,
                    f"{rows:,} changed rows",
                    "seconds",
                    value,
                    contender=contender,
                    number=number,
                    rows=rows,
                    verified=True if contender == TOTESYS else None,
                )


async def _round(trial: Trial, system: System, copy: DltCopy, rows: int, number: int) -> dict[str, float]:
    """The seconds of each contender for the same changes."""
    trial.say(f"tick: {rows:,} changed rows, round {number}")
    source, seconds = trial.stand.source, {}
    # Each choice of rows is another one.
    await change(source, rows, seed=rows * trial.size.tick_rounds + number)
    # Who reads changed rows first writes that they are committed: each is first in every other round.
    for contender in (SCAN, TOTESYS) if number % 2 else (TOTESYS, SCAN):
        if contender == SCAN:
            seconds[SCAN] = await pipe.scan(source)
        else:
            seconds[TOTESYS] = (await system.extract()).seconds
    run = await dlt_copy.tick(source, copy.warehouse, dlt_copy.CONNECTORX, copy.folder, copy.since)
    seconds[DLT_TUNED[dlt_copy.CONNECTORX]] = run.seconds
    return seconds
