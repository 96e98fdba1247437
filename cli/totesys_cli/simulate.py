"""`totesys simulate`: writes to the source like the source application."""

import time
from importlib import import_module
from types import ModuleType

from totesys.connection import database_errors
from totesys.schema import load_model
from totesys_cli.command_errors import UsageError
from totesys_cli.preflight import check_source
from totesys_cli.progress import going_on
from totesys_cli.terminal import Output
from totesys_simulation import Counts


def simulation_of(model: str) -> ModuleType:
    """The module that generates and changes the model's data. Raises UsageError if the model has none."""
    module = load_model(model).simulation
    if module is None:
        raise UsageError(
            f"Model {model} names no simulation, so its data cannot be generated. Create and fill its tables yourself, "
            "or name a simulation in the model."
        )
    return import_module(module)


async def run_simulation(
    output: Output, source: str, model: str, *, rate: float, seconds: float | None, seed: int
) -> None:
    """Write until the time is over or the task is cancelled; show the progress, and print the counts at the end."""
    simulation = simulation_of(model)
    await check_source(load_model(model), source, "public")
    began = time.monotonic()
    latest: Counts | None = None
    try:
        with going_on(seconds) as note, database_errors("The source", source):

            def on_commit(counts: Counts) -> None:
                nonlocal latest
                latest = counts
                note(f"{written(counts)}, {counts.rows / (time.monotonic() - began):,.1f} rows/s")

            await simulation.simulate(source, rate=rate, seconds=seconds, seed=seed, on_commit=on_commit)
    finally:
        if latest is not None:
            output.result(counted(latest), f"Written: {written(latest)}.")


def written(counts: Counts) -> str:
    """A simulation's counts as text."""
    new, changed, deleted = counts.inserted.total(), counts.updated.total(), counts.deleted.total()
    transactions = f"{counts.committed:,} transactions, {counts.rolled_back:,} rolled back"
    rows = (
        f"{new:,} new, {changed:,} changed and {deleted:,} deleted"
        if deleted
        else f"{new:,} new and {changed:,} changed"
    )
    return f"{rows} rows in {transactions}"


def counted(counts: Counts) -> dict[str, object]:
    """A simulation's counts as a document."""
    return {
        "inserted": dict(counts.inserted),
        "updated": dict(counts.updated),
        "deleted": dict(counts.deleted),
        "committed": counts.committed,
        "rolled_back": counts.rolled_back,
    }
