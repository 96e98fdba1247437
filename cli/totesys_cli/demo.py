"""`totesys demo`: two databases, a company that lives in one of them, and its warehouse in the other."""

import asyncio
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from rich.console import Console

from totesys_cli import show
from totesys_cli.company import make_source
from totesys_cli.databases import Databases
from totesys_cli.errors import StageFailed
from totesys_cli.local.postgres import PostgresServer
from totesys_cli.pipeline import Pipeline, run_pipeline
from totesys_cli.roles import Role
from totesys_cli.run import extract_once, show_addresses
from totesys_cli.services import STAGES, Event
from totesys_cli.simulate import simulation_of
from totesys_cli.verify.command import run_verification

MODEL = "totesys.model"
# Short enough to watch, long enough for several ticks and a transaction that spans some of them.
FIRST_ROUND_SECONDS = 12.0
ROUND_SECONDS = 60.0
TICK_SECONDS = 3.0


@dataclass(frozen=True)
class _Writing:
    rate: float
    seconds: float
    seed: int


async def run_demo(console: Console, *, once: bool, seed: int, rate: float) -> None:
    """Fill, load, change, verify; again and again unless `once`. Raises StageFailed if a row is not equal."""
    with console.status("starting two databases"):
        server = await asyncio.to_thread(lambda: PostgresServer.start(durable=False))
    with server:
        owner = server.create_database("totesys")
        warehouse = server.create_database("warehouse")
        source = await _make_source(console, owner, seed)
        databases = Databases(source, warehouse, MODEL)
        free: dict[str, int] = dict.fromkeys(STAGES, 0)
        async with run_pipeline(databases, on_event=lambda event: _tell(console, event), ports=free) as pipeline:
            console.rule("first load")
            for run in await extract_once(pipeline):
                show.show_run(console, run)
            seconds = FIRST_ROUND_SECONDS
            while True:
                _show_inside(console, pipeline, owner, warehouse)
                seed += 1
                await _round(console, pipeline, owner, databases, _Writing(rate, seconds, seed))
                if once:
                    return
                seconds = ROUND_SECONDS


async def _make_source(console: Console, owner: str, seed: int) -> str:
    """A filled source; the DSN of a role that may only read it."""
    reader = Role("etl_reader", secrets.token_urlsafe(12))
    with console.status("filling the source"):
        rows = await make_source(owner, reader, model=MODEL, seed=seed)
    assert rows is not None
    console.print(f"The source has {sum(rows.values()):,} rows in {len(rows)} tables (seed {seed}).")
    parts = urlsplit(owner)
    return parts._replace(netloc=f"{reader.name}:{reader.password}@{parts.hostname}:{parts.port}").geturl()


async def _round(console: Console, pipeline: Pipeline, owner: str, databases: Databases, company: _Writing) -> None:
    """Let the company write while ticks go on, then extract the rest and verify."""
    console.rule(f"the company writes {company.rate:g} rows a second for {company.seconds:g} s")
    writing = asyncio.create_task(
        simulation_of(MODEL).simulate(owner, rate=company.rate, seconds=company.seconds, seed=company.seed)
    )
    while not writing.done():
        await asyncio.wait({writing}, timeout=TICK_SECONDS)
        await pipeline.extract()
    console.print(f"The company has written {show.written(writing.result())}.", soft_wrap=True)
    await pipeline.extract()
    if not await run_verification(console, databases, json=False):
        raise StageFailed("The warehouse is not what the source says.")


def _tell(console: Console, event: Event) -> None:
    if text := show.line(event):
        console.print(text, soft_wrap=True)


def _show_inside(console: Console, pipeline: Pipeline, owner: str, warehouse: str) -> None:
    console.rule("look inside while it runs; Ctrl-C ends it")
    console.print(f"  source    psql {owner}\n  warehouse psql {warehouse}", soft_wrap=True)
    show_addresses(console, pipeline)
