"""`totesys simulate`: a company's life, written to the source."""

from importlib import import_module
from types import ModuleType

from rich.console import Console

from totesys.postgres import database_errors
from totesys.schema import load_model
from totesys_cli.errors import BadInput
from totesys_cli.preflight import check_source
from totesys_cli.show import Written, written


def simulation_of(model: str) -> ModuleType:
    """The module that makes and changes the model's data. Raises BadInput if the model has none."""
    try:
        return import_module(f"{model}.simulation")
    except ModuleNotFoundError as error:
        raise BadInput(f"Model {model} has no module {model}.simulation, so nothing can be simulated.") from error


async def run_simulation(
    console: Console, source: str, model: str, *, rate: float, seconds: float | None, seed: int
) -> None:
    """Write until the time is over or the task is cancelled, and show how much."""
    simulation = simulation_of(model)
    await check_source(load_model(model), source, "public")
    with console.status("writing") as status, database_errors("The source", source):

        def tell(counts: Written) -> None:
            status.update(f"writing: {written(counts)}")

        counts = await simulation.simulate(source, rate=rate, seconds=seconds, seed=seed, on_commit=tell)
    console.print(f"Written: {written(counts)}.")
