"""`totesys simulate`: a company's life, written to the source."""

import json as json_module
import time
from importlib import import_module
from types import ModuleType

from rich.console import Console

from totesys.connection import database_errors
from totesys.schema import load_model
from totesys_cli.errors import BadInput
from totesys_cli.preflight import check_source
from totesys_cli.progress import going_on
from totesys_cli.show import Written, counted, written


def simulation_of(model: str) -> ModuleType:
    """The module that makes and changes the model's data. Raises BadInput if the model has none."""
    module = load_model(model).simulation
    if module is None:
        raise BadInput(f"Model {model} names no simulation, so its data cannot be generated.")
    return import_module(module)


async def run_simulation(
    console: Console, source: str, model: str, *, rate: float, seconds: float | None, seed: int, json: bool = False
) -> None:
    """Write until the time is over or the task is cancelled; show how much meanwhile, and print it at the end."""
    simulation = simulation_of(model)
    await check_source(load_model(model), source, "public")
    began = time.monotonic()
    latest: Written | None = None
    try:
        with going_on(seconds) as tell_text, database_errors("The source", source):

            def tell(counts: Written) -> None:
                nonlocal latest
                latest = counts
                tell_text(f"{written(counts)}, {_rows(counts) / (time.monotonic() - began):,.1f} rows/s")

            await simulation.simulate(source, rate=rate, seconds=seconds, seed=seed, on_commit=tell)
    finally:
        if latest is not None:
            _show(console, latest, json=json)


def _show(console: Console, counts: Written, *, json: bool) -> None:
    if json:
        console.print_json(json_module.dumps(counted(counts)))
    else:
        console.print(f"Written: {written(counts)}.")


def _rows(counts: Written) -> int:
    return sum(counts.inserted.values()) + sum(counts.updated.values())
