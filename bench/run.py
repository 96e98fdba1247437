"""Measures everything that a size says."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AsyncExitStack, contextmanager

from bench.cases import freshness, loads, peer_loads, start_and_idle, tick, verification
from bench.levels import levels
from bench.measurement import Case, Record
from bench.sizes import Size
from bench.stand import Stand
from bench.trial import Say, Trial

# These need our load, and all but the last those of the peers.
LOADS = frozenset({Case.FIRST_LOAD, Case.MEMORY, Case.TICK, Case.VERIFY})
PEER_LOADS = LOADS - {Case.VERIFY}

# Hears what failed, and why.
Failed = Callable[[str, Exception], None]


async def measure(size: Size, record: Record, say: Say, failed: Failed, cases: Collection[Case] = tuple(Case)) -> None:
    """Measure these cases. `record` hears each figure, `say` of each step as it begins.

    A case that fails costs its own figures only: `failed` hears of it, and the others go on. Nothing is left of it all,
    however it ends. Raises LocalStackError if the server or the source can't be made.
    """
    async with Stand.opened() as stand:
        for level in levels(size, cases):
            say(f"a source of {level.orders:,} orders")
            await stand.grow(level.orders)
            await _measure(Trial(size, stand, level.cases, record, say), failed)


@contextmanager
def _apart(what: str, failed: Failed) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, the figures of the others are worth their time
        failed(what, error)


async def _measure(trial: Trial, failed: Failed) -> None:
    # Ticks change the source, so they come last.
    alone = {Case.STAGES: _stages, Case.START_AND_IDLE: start_and_idle.measure, Case.FRESHNESS: freshness.measure}
    for case, measure_case in alone.items():
        if case in trial.cases:
            with _apart(case, failed):
                await measure_case(trial)
    if trial.cases & LOADS:
        with _apart("our load", failed):
            await _loads(trial, failed)


async def _loads(trial: Trial, failed: Failed) -> None:
    copy = None
    # The peers are done before our system starts, which stays for verification and the ticks.
    async with AsyncExitStack() as stack:
        if trial.cases & PEER_LOADS:
            with _apart("the peers' loads", failed):
                copy = await stack.enter_async_context(peer_loads.copied(trial))
        system = await stack.enter_async_context(loads.loaded(trial))
        if Case.VERIFY in trial.cases:
            with _apart(Case.VERIFY, failed):
                await verification.measure(trial, system.databases)
        if Case.TICK in trial.cases and copy:
            with _apart(Case.TICK, failed):
                await tick.measure(trial, system, copy)


async def _stages(trial: Trial) -> None:
    from bench.cases import stages

    stand = trial.stand
    async with stand.database("warehouse_stages") as warehouse:
        await stages.measure(stand.source, warehouse, stand.orders, trial.report, trial.say)
