"""`totesys demo`: two databases, a simulated company in one of them, and its warehouse in the other."""

import asyncio
import secrets
from collections.abc import Awaitable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from rich.console import RenderableType

from totesys.errors import DatabaseUnavailable, TotesysError
from totesys.stage_names import STAGES
from totesys_cli.command_errors import StageFailed
from totesys_cli.demo_fault import make_fault
from totesys_cli.local.local_databases import LoginRole, make_source
from totesys_cli.local.local_postgres import PostgresServer
from totesys_cli.local.ports import LOOPBACK
from totesys_cli.local.private_files import open_private
from totesys_cli.local.reachable import SUPERUSER
from totesys_cli.local.stack_secrets import READER
from totesys_cli.options import Databases, DemoFault
from totesys_cli.pipeline import Pipeline, run_pipeline
from totesys_cli.run_output import describe_run, event_line
from totesys_cli.simulate import counted, simulation_of, written
from totesys_cli.terminal import Output
from totesys_cli.verify.verification_table import to_document, to_table
from totesys_cli.verify.verify_command import verified

_DATABASES = ("totesys", "warehouse")
# Short enough to watch, long enough for several ticks and a transaction that spans some of them.
FIRST_ROUND_SECONDS = 12.0
ROUND_SECONDS = 60.0
TICK_SECONDS = 3.0


async def run_demo(
    output: Output,
    model: str,
    *,
    once: bool,
    seed: int,
    rate: float,
    lakehouse: bool = False,
    fault: DemoFault | None = None,
) -> None:
    """Fill, load, change, verify; repeatedly unless `once`. After the first load, make the `fault`.

    Raises StageFailed if a row differs, and with `once` also if a stage fails.
    """
    simulation_of(model)
    demo = _Demo(output, model, rate, once)
    with demo.waiting("starting two databases"):
        server = await asyncio.to_thread(lambda: PostgresServer.start(durable=False))
    with server, open_private(server.folder / "services.log", "a") as log:
        owner, warehouse = (server.create_database(name) for name in _DATABASES)
        databases = Databases(await demo.fill(owner, seed), warehouse, model)
        async with run_pipeline(
            databases,
            on_event=lambda event: output.event(event.fields, event_line(event)),
            ports=dict.fromkeys(STAGES, 0),
            lakehouse=lakehouse,
            capture="log",
            log=log,
        ) as pipeline:
            demo.fact(
                "capture", "Ingest reads from the source's log which rows changed (docs/capture.md).", capture="log"
            )
            demo.chapter("first load")
            for run in await pipeline.extract_runs():
                demo.fact("run", describe_run(run), **run.model_dump(mode="json"))
            seconds = FIRST_ROUND_SECONDS
            while True:
                demo.show_inside(pipeline, server, log.name)
                if fault:
                    made = await make_fault(fault, pipeline, owner, _DATABASES[1])
                    demo.broken(fault, made.text)
                    if made.message_id:
                        await demo.attempt(pipeline, pipeline.finish(made.message_id))
                    fault = None
                seed += 1
                await demo.round(pipeline, owner, databases, seconds, seed)
                if once:
                    return
                seconds = ROUND_SECONDS


@dataclass
class _Demo:
    """The parts of the demo, each with what it prints. `rate` are changed rows per second.

    Unless it runs `once`, it continues after a failure, which it prints when the reason changes.
    """

    output: Output
    model: str
    rate: float
    once: bool
    failure: str = ""

    def waiting(self, text: str) -> AbstractContextManager[object]:
        """Show on a terminal what takes time."""
        return (self.output.notes if self.output.json else self.output.console).status(text)

    def chapter(self, title: str) -> None:
        """Begin a part; JSON has none."""
        if not self.output.json:
            self.output.console.rule(title)

    def fact(self, event: str, text: RenderableType, **fields: object) -> None:
        """Print `text`, or the event with its fields."""
        self.output.event({"event": event, **fields}, text)

    async def fill(self, owner: str, seed: int) -> str:
        """Fill the source; the DSN of a role that may only read it."""
        reader = LoginRole(READER, secrets.token_urlsafe(12))
        with self.waiting("filling the source"):
            rows = await make_source(owner, reader, model=self.model, seed=seed)
        assert rows is not None
        text = f"The source has {sum(rows.values()):,} rows in {len(rows)} tables (seed {seed})."
        self.fact("source_filled", text, seed=seed, rows=dict(rows))
        return reader.dsn(owner)

    async def round(self, pipeline: Pipeline, owner: str, databases: Databases, seconds: float, seed: int) -> None:
        """Let the company write while ticks continue, then extract the rest and verify."""
        self.chapter(f"the company writes {self.rate:g} rows a second for {seconds:g} s")
        simulation = simulation_of(self.model)
        writing = asyncio.create_task(simulation.simulate(owner, rate=self.rate, seconds=seconds, seed=seed))
        try:
            while not writing.done():
                await asyncio.wait({writing}, timeout=TICK_SECONDS)
                await self.extract(pipeline)
        finally:
            writing.cancel()
            await asyncio.wait({writing})
        counts = writing.result()
        self.fact("simulation_completed", f"The company wrote {written(counts)}.", **counted(counts))
        # A simulation may delete rows.
        await self.extract(pipeline, "sweep")
        try:
            verification = await verified(databases)
        except DatabaseUnavailable as error:
            self.failed(error)
            return
        self.fact("verification", to_table(verification), **to_document(verification))
        if not verification.is_equal:
            raise StageFailed("The warehouse differs from the source. The table above names the rows.")

    async def extract(self, pipeline: Pipeline, mode: str = "changes") -> None:
        """Extract once, as `attempt` does."""
        await self.attempt(pipeline, pipeline.extract(mode))

    async def attempt(self, pipeline: Pipeline, work: Awaitable[object]) -> None:
        """Do it, and print a failure. Raises StageFailed if the demo runs once, or if a service has ended."""
        try:
            await work
        except StageFailed as error:
            if pipeline.ended:
                raise
            self.failed(error)
            return
        if self.failure:
            self.fact("recovered", "The pipeline works again. Dead letters stay until you redrive or delete them.")
            self.failure = ""

    def failed(self, error: TotesysError) -> None:
        """Print a failure, unless it is the one before. Raises it if the demo runs once."""
        if self.once:
            raise error
        if self.failure != str(error):
            self.failure = str(error)
            text = f"{error}\nThe demo continues. docs/runbook.md has the fix; the demo prints a line once it works."
            self.fact("stage_failed", text, error=self.failure)

    def broken(self, fault: DemoFault, done: str) -> None:
        """Print what was broken, and where its repair is described."""
        self.chapter(f"broken on purpose: {fault}")
        text = f"{done}\nFind it on the console and with `totesys status`, and fix it: docs/runbook.md#practise"
        self.fact("broken", text, fault=fault, done=done)

    def show_inside(self, pipeline: Pipeline, server: PostgresServer, log: str) -> None:
        """Print how to look into the databases and the services."""
        self.chapter("look inside while it runs; Ctrl-C stops it")
        # In a file: a printed password would be in logs, one in psql's command line in the process list.
        passfile = str(server.passfile())
        source, warehouse = (f"postgresql://{SUPERUSER}@{LOOPBACK}:{server.port}/{name}" for name in _DATABASES)
        lines = [
            f"  source    PGPASSFILE={passfile} psql {source}",
            f"  warehouse PGPASSFILE={passfile} psql {warehouse}",
            *pipeline.address_lines(),
            f"  logs      tail -f {log}",
        ]
        addresses = {"source": source, "warehouse": warehouse, "passfile": passfile, "lake": pipeline.lake, "log": log}
        self.fact("look_inside", "\n".join(lines), **addresses, services=dict(pipeline.services.addresses))
