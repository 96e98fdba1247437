"""`totesys demo`: two databases, a company that lives in one of them, and its warehouse in the other."""

import asyncio
import secrets
from urllib.parse import urlsplit

from rich.console import Console
from totesys.postgres import connect
from totesys.schema import load_model

from totesys_cli import show
from totesys_cli.databases import Databases
from totesys_cli.errors import StageFailed
from totesys_cli.local.postgres import PostgresServer
from totesys_cli.pipeline import Pipeline, run_pipeline
from totesys_cli.reader_role import create_reader
from totesys_cli.run import once as extract_once
from totesys_cli.run import show_addresses
from totesys_cli.services import STAGES, Event
from totesys_cli.simulate import simulation_of
from totesys_cli.source_database import create_source
from totesys_cli.verify.command import run_verification

MODEL = "totesys.model"
# Short enough to watch, long enough for several ticks and a transaction that spans some of them.
ROUND_SECONDS = 12.0
TICK_SECONDS = 3.0


async def run_demo(console: Console, *, once: bool, seed: int, rate: float) -> None:
    """Fill, load, change, verify; again and again unless `once`. Raises StageFailed if a row is not equal."""
    with console.status("starting two databases"):
        server = await asyncio.to_thread(lambda: PostgresServer.start(durable=False))
    with server:
        owner = server.create_database("totesys")
        warehouse = server.create_database("warehouse")
        source = await _make_source(console, owner, seed)
        databases = Databases(source, warehouse, MODEL)
        free = dict.fromkeys(STAGES, 0)
        async with run_pipeline(databases, on_event=lambda event: _tell(console, event), ports=free) as pipeline:
            console.rule("first load")
            for run in await extract_once(pipeline):
                show.show_run(console, run)
            number = 1
            while True:
                await _round(console, pipeline, owner, databases, number, seed, rate)
                if once:
                    return
                _show_inside(console, pipeline, owner, warehouse)
                number += 1


async def _make_source(console: Console, owner: str, seed: int) -> str:
    """A filled source; the DSN of a role that may only read it."""
    with console.status("filling the source"):
        async with connect("The source", owner) as connection:
            await create_source(connection, load_model(MODEL))
            rows = await simulation_of(MODEL).fill(connection, seed=seed)
            reader, password = "etl_reader", secrets.token_urlsafe(12)
            await create_reader(connection, reader, password)
    console.print(f"The source has {sum(rows.values()):,} rows in {len(rows)} tables (seed {seed}).")
    parts = urlsplit(owner)
    return parts._replace(netloc=f"{reader}:{password}@{parts.hostname}:{parts.port}").geturl()


async def _round(
    console: Console, pipeline: Pipeline, owner: str, databases: Databases, number: int, seed: int, rate: float
) -> None:
    console.rule(f"round {number}: the company writes {rate:g} rows a second for {ROUND_SECONDS:.0f} s")
    writing = asyncio.create_task(
        simulation_of(MODEL).simulate(owner, rate=rate, seconds=ROUND_SECONDS, seed=seed + number)
    )
    while not writing.done():
        await asyncio.wait({writing}, timeout=TICK_SECONDS)
        await pipeline.finish(await pipeline.trigger())
    console.print(f"The company has written {show.written(writing.result())}.")
    await pipeline.finish(await pipeline.trigger())
    if not await run_verification(console, databases, json=False):
        raise StageFailed("The warehouse is not what the source says.")


def _tell(console: Console, event: Event) -> None:
    if text := show.line(event):
        console.print(text)


def _show_inside(console: Console, pipeline: Pipeline, owner: str, warehouse: str) -> None:
    console.rule("look inside while it goes on; Ctrl-C ends it")
    console.print(f"  source    psql {owner}\n  warehouse psql {warehouse}", soft_wrap=True)
    show_addresses(console, pipeline)
