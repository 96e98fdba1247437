"""`totesys run`: the pipeline against two databases, once or on a schedule."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO

from rich.console import Console

from totesys.log_events import LogEvent
from totesys.schema import load_model
from totesys.service.runs import RunDetail
from totesys.stage_names import STAGES
from totesys_cli import show
from totesys_cli.databases import Databases
from totesys_cli.durations import schedule_expression
from totesys_cli.errors import BadInput
from totesys_cli.local.places import require_free
from totesys_cli.local.private import open_private
from totesys_cli.pipeline import Pipeline, run_pipeline
from totesys_cli.preflight import check_source, check_warehouse
from totesys_cli.services import Event

# As often as the data plane's own schedule has ingest look for deletions.
SWEEP_SECONDS = 3600.0


@dataclass(frozen=True)
class RunOptions:
    """How the pipeline runs: where its lake stands, the first of its three ports (0: free ones), its log file."""

    state: Path | None = None
    port: int = 0
    log: Path | None = None
    json: bool = False


async def check(databases: Databases, options: RunOptions) -> None:
    """Ask both databases and the ports, writing nothing. Raises TotesysError or LocalStackError with what to mend."""
    for stage, port in _ports(options).items():
        if port:
            require_free(port, f"The {stage} service")
    model = load_model(databases.model)
    await check_source(model, databases.source, databases.source_schema)
    await check_warehouse(model, databases.warehouse, databases.warehouse_schema)


async def run_once(databases: Databases, options: RunOptions, console: Console, *, sweep: bool = False) -> None:
    """One extraction, until all its runs are in the warehouse; prints them. Raises StageFailed.

    With `sweep` it also finds what was deleted.
    """
    await check(databases, options)
    with ExitStack() as stack:
        status = stack.enter_context(Console(stderr=True).status("starting"))

        def tell(event: Event) -> None:
            if text := show.line(event):
                status.update(text)
                # Without a terminal nothing else says how far it is.
                if event.name != LogEvent.RUN_COMPLETED or not status.console.is_terminal:
                    status.console.print(text, soft_wrap=True)

        async with run_pipeline(
            databases, on_event=tell, state=options.state, ports=_ports(options), log=_open(options.log, stack)
        ) as pipeline:
            runs = await extract_once(pipeline, "sweep" if sweep else "changes")
    if options.json:
        console.print_json(show.to_json(runs))
    else:
        for run in runs:
            show.show_run(console, run)


async def extract_once(pipeline: Pipeline, mode: str = "changes") -> list[RunDetail]:
    """One extraction, until all its runs are in the warehouse; the runs at work meanwhile. Raises StageFailed."""
    return [await pipeline.run(number) for number in await pipeline.extract(mode)]


async def run_on_schedule(databases: Databases, options: RunOptions, every: timedelta, console: Console) -> None:
    """Extract now and then every period, until cancelled; a line for each thing that happens."""
    await check(databases, options)
    schedule = schedule_expression(every)

    def tell(event: Event) -> None:
        if options.json:
            console.print_json(data=dict(event.fields), default=str, indent=None)
        elif text := show.line(event):
            console.print(text, soft_wrap=True)

    with ExitStack() as stack:
        async with run_pipeline(
            databases,
            on_event=tell,
            state=options.state,
            ports=_ports(options),
            schedule=schedule,
            log=_open(options.log, stack),
        ) as pipeline:
            if not options.json:
                console.print("\n".join(address_lines(pipeline)), soft_wrap=True)
                console.print(f"An extraction every {every.total_seconds():.0f} s. Ctrl-C ends it.")
            await pipeline.trigger("ingest", mode="changes")
            swept = time.monotonic()
            while True:
                await pipeline.watch(every.total_seconds())
                # The schedule's own grain is a minute.
                if schedule is None:
                    due = time.monotonic() - swept >= SWEEP_SECONDS
                    await pipeline.trigger("ingest", mode="sweep" if due else "changes")
                    swept = time.monotonic() if due else swept


def address_lines(pipeline: Pipeline) -> list[str]:
    """Where the console, the lake and the services are."""
    addresses = pipeline.services.addresses
    return [
        f"  console   {addresses['load']}/",
        f"  lake      {pipeline.lake} (S3 and SQS, for --endpoint of status, dlq and others)",
        *(f"  {stage:<9} {addresses[stage]}/docs" for stage in STAGES),
    ]


def _ports(options: RunOptions) -> dict[str, int]:
    return {stage: options.port + number if options.port else 0 for number, stage in enumerate(STAGES)}


def _open(log: Path | None, stack: ExitStack) -> IO[str] | None:
    if log is None:
        return None
    try:
        return stack.enter_context(open_private(log, "a"))
    except OSError as error:
        raise BadInput(f"The log file {log} can't be written: {error.strerror}. Name another file.") from error
