"""Runs the cases of a size."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AsyncExitStack, contextmanager

from bench.bench_server import BenchServer
from bench.cases import latency, load_speed, start_and_idle, step_speed, tick, verify_speed
from bench.measurement import Case, Record
from bench.sizes import Size, levels
from bench.trial import Say, Trial

# These use our load; all but the last also use the peers' loads.
LOADS = frozenset({Case.FIRST_LOAD, Case.MEMORY, Case.TICK, Case.VERIFY})
PEER_LOADS = LOADS - {Case.VERIFY}

# Called with what failed, and why.
Failed = Callable[[str, Exception], None]


async def measure(size: Size, record: Record, say: Say, failed: Failed, cases: Collection[Case] = tuple(Case)) -> None:
    """Measure these cases. `record` gets each figure; `say` reports each step as it begins.

    A case that fails costs only its own figures: `failed` gets the error, and the other cases continue. Everything
    that was created is removed at the end. Raises LocalStackError if the server or the source cannot be created.
    """
    async with BenchServer.opened() as server:
        for level in levels(size, cases):
            say(f"a source of {level.orders:,} orders")
            await server.grow(level.orders)
            await _measure(Trial(size, server, level.cases, record, say), failed)


@contextmanager
def _isolated(what: str, failed: Failed) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the figures of the other cases are still worth their time
        failed(what, error)


async def _measure(trial: Trial, failed: Failed) -> None:
    # Ticks change the source, so they come last.
    alone = {
        Case.STAGES: step_speed.measure,
        Case.START_AND_IDLE: start_and_idle.measure,
        Case.FRESHNESS: latency.measure,
    }
    for case, measure_case in alone.items():
        if case in trial.cases:
            with _isolated(case, failed):
                await measure_case(trial)
    if trial.cases & LOADS:
        with _isolated("our load", failed):
            await _loads(trial, failed)


async def _loads(trial: Trial, failed: Failed) -> None:
    ticks = None
    # The peers finish before our system starts, which keeps running for verification and the ticks.
    async with AsyncExitStack() as stack:
        if trial.cases & PEER_LOADS:
            with _isolated("the peers' loads", failed):
                ticks = await stack.enter_async_context(load_speed.copied_by_peers(trial))
        system = await stack.enter_async_context(load_speed.loaded(trial))
        if Case.VERIFY in trial.cases:
            with _isolated(Case.VERIFY, failed):
                await verify_speed.measure(trial, system.databases)
        if Case.TICK in trial.cases and ticks:
            with _isolated(Case.TICK, failed):
                await tick.measure(trial, system, ticks)
