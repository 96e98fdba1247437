"""Measures everything that a size says."""

from collections.abc import Collection

from bench.cases import freshness, loads, peer_loads, start_and_idle, tick
from bench.levels import levels
from bench.measurement import Case, Record
from bench.sizes import Size
from bench.stand import Stand
from bench.trial import Say, Trial

LOADS = frozenset({Case.FIRST_LOAD, Case.MEMORY, Case.TICK})


async def measure(size: Size, record: Record, say: Say, cases: Collection[Case] = tuple(Case)) -> None:
    """Measure these cases. `record` hears each figure, `say` of each step as it begins.

    Nothing is left of it, however it ends. Raises LocalStackError if something can't be started, WrongResult or
    NotMeasurable if a figure would mean nothing, and StageFailed or CommandFailed if a contender fails.
    """
    async with Stand.opened() as stand:
        for level in levels(size, cases):
            say(f"a source of {level.orders:,} orders")
            await stand.grow(level.orders)
            await _measure(Trial(size, stand, level.cases, record, say))


async def _measure(trial: Trial) -> None:
    # Ticks change the source, so they come last.
    if Case.STAGES in trial.cases:
        await _stages(trial)
    if Case.START_AND_IDLE in trial.cases:
        await start_and_idle.measure(trial)
    if Case.FRESHNESS in trial.cases:
        await freshness.measure(trial)
    if trial.cases & LOADS:
        # The peers are done before our system starts, which stays for the ticks.
        async with peer_loads.copied(trial) as copy, loads.loaded(trial) as system:
            if Case.TICK in trial.cases:
                await tick.measure(trial, system, copy)


async def _stages(trial: Trial) -> None:
    from bench.cases import stages

    stand = trial.stand
    async with stand.database("warehouse_stages") as warehouse:
        await stages.measure(stand.source, warehouse, stand.orders, trial.report, trial.say)
