"""`totesys run`: the pipeline against two databases, once or on a schedule."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO

from rich.console import Group

from totesys.log_events import LogEvent
from totesys.schema import load_model
from totesys.stage_names import STAGES
from totesys_cli.command_errors import UsageError
from totesys_cli.durations import schedule_expression
from totesys_cli.local.ports import require_free
from totesys_cli.local.private_files import open_private
from totesys_cli.options import Databases
from totesys_cli.pipeline import run_pipeline
from totesys_cli.preflight import check_source, check_warehouse
from totesys_cli.run_output import describe_run, event_line
from totesys_cli.service_processes import ServiceEvent
from totesys_cli.terminal import Output, period

# As often as the data plane's own schedule runs a deletion sweep.
SWEEP_SECONDS = 3600.0


@dataclass(frozen=True)
class RunOptions:
    """How the pipeline runs: the folder of its lake, the first of its three ports (0: free ones), its log file."""

    state: Path | None = None
    port: int = 0
    log: Path | None = None
    lakehouse: bool = False

    @property
    def ports(self) -> dict[str, int]:
        return {stage: self.port + number if self.port else 0 for number, stage in enumerate(STAGES)}


async def run_once(output: Output, databases: Databases, options: RunOptions, *, sweep: bool) -> None:
    """Extract once, wait until all runs are in the warehouse, and print them. Raises StageFailed.

    With `sweep` it also finds deleted rows.
    """
    with ExitStack() as stack:
        log = await _prepare(databases, options, stack)
        status = stack.enter_context(output.notes.status("starting"))

        def on_event(event: ServiceEvent) -> None:
            if text := event_line(event):
                status.update(text)
                # Without a terminal there is no status line.
                if event.name != LogEvent.RUN_COMPLETED or not output.notes.is_terminal:
                    output.notes.print(text, soft_wrap=True)

        async with run_pipeline(
            databases,
            on_event=on_event,
            state=options.state,
            ports=options.ports,
            log=log,
            lakehouse=options.lakehouse,
        ) as pipeline:
            runs = await pipeline.extract_runs("sweep" if sweep else "changes")
    output.result(runs, Group(*map(describe_run, runs)))


async def run_on_schedule(output: Output, databases: Databases, options: RunOptions, every: timedelta) -> None:
    """Extract now and after every period until cancelled; print a line for each event."""
    schedule = schedule_expression(every)
    with ExitStack() as stack:
        log = await _prepare(databases, options, stack)
        async with run_pipeline(
            databases,
            on_event=lambda event: output.event(event.fields, event_line(event)),
            state=options.state,
            ports=options.ports,
            schedule=schedule,
            log=log,
            lakehouse=options.lakehouse,
        ) as pipeline:
            if not output.json:
                lines = [*pipeline.address_lines(), f"An extraction every {period(every)}. Ctrl-C stops it."]
                output.console.print("\n".join(lines), soft_wrap=True)
            await pipeline.trigger("ingest", mode="changes")
            swept = time.monotonic()
            while True:
                await pipeline.watch(every.total_seconds())
                # EventBridge triggers ingest if the period is whole minutes.
                if schedule is None:
                    due = time.monotonic() - swept >= SWEEP_SECONDS
                    await pipeline.trigger("ingest", mode="sweep" if due else "changes")
                    swept = time.monotonic() if due else swept


async def _prepare(databases: Databases, options: RunOptions, stack: ExitStack) -> IO[str] | None:
    """Check ports and databases, writing nothing; then open the log file, if there is one.

    Raises TotesysError that says what to do.
    """
    for stage, port in options.ports.items():
        if port:
            require_free(port, f"The {stage} service")
    model = load_model(databases.model)
    await check_source(model, databases.source, databases.source_schema)
    await check_warehouse(model, databases.warehouse, databases.warehouse_schema)
    if options.log is None:
        return None
    try:
        return stack.enter_context(open_private(options.log, "a"))
    except OSError as error:
        raise UsageError(
            f"The log file {options.log} cannot be written: {error.strerror}. Name another file."
        ) from error
