"""`totesys demo`: two databases, a company that lives in one of them, and its warehouse in the other."""

import asyncio
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from rich.console import Console

from totesys.stage_names import STAGES
from totesys_cli import show
from totesys_cli.company import make_source
from totesys_cli.databases import Databases
from totesys_cli.errors import StageFailed
from totesys_cli.local.places import LOOPBACK
from totesys_cli.local.postgres import PostgresServer
from totesys_cli.local.reachable import SUPERUSER
from totesys_cli.pipeline import Pipeline, run_pipeline
from totesys_cli.roles import Role
from totesys_cli.run import address_lines, extract_once
from totesys_cli.simulate import simulation_of
from totesys_cli.story import Story
from totesys_cli.verify.command import verified

MODEL = "totesys.model"
_DATABASES = ("totesys", "warehouse")
# Short enough to watch, long enough for several ticks and a transaction that spans some of them.
FIRST_ROUND_SECONDS = 12.0
ROUND_SECONDS = 60.0
TICK_SECONDS = 3.0


@dataclass(frozen=True)
class _Writing:
    rate: float
    seconds: float
    seed: int


async def run_demo(console: Console, *, once: bool, seed: int, rate: float, json: bool = False) -> None:
    """Fill, load, change, verify; again and again unless `once`. Raises StageFailed if a row is not equal."""
    story = Story(console, json=json)
    with story.waiting("starting two databases"):
        server = await asyncio.to_thread(lambda: PostgresServer.start(durable=False))
    with server:
        owner, warehouse = (server.create_database(name) for name in _DATABASES)
        source = await _make_source(story, owner, seed)
        databases = Databases(source, warehouse, MODEL)
        free: dict[str, int] = dict.fromkeys(STAGES, 0)
        async with run_pipeline(databases, on_event=story.log, ports=free) as pipeline:
            story.chapter("first load")
            for run in await extract_once(pipeline):
                story.run(run)
            seconds = FIRST_ROUND_SECONDS
            while True:
                _show_inside(story, pipeline, server)
                seed += 1
                await _round(story, pipeline, owner, databases, _Writing(rate, seconds, seed))
                if once:
                    return
                seconds = ROUND_SECONDS


async def _make_source(story: Story, owner: str, seed: int) -> str:
    """A filled source; the DSN of a role that may only read it."""
    reader = Role("etl_reader", secrets.token_urlsafe(12))
    with story.waiting("filling the source"):
        rows = await make_source(owner, reader, model=MODEL, seed=seed)
    assert rows is not None
    text = f"The source has {sum(rows.values()):,} rows in {len(rows)} tables (seed {seed})."
    story.fact("source filled", text, seed=seed, rows=dict(rows))
    parts = urlsplit(owner)
    return parts._replace(netloc=f"{reader.name}:{reader.password}@{parts.hostname}:{parts.port}").geturl()


async def _round(story: Story, pipeline: Pipeline, owner: str, databases: Databases, company: _Writing) -> None:
    """Let the company write while ticks go on, then extract the rest and verify."""
    story.chapter(f"the company writes {company.rate:g} rows a second for {company.seconds:g} s")
    writing = asyncio.create_task(
        simulation_of(MODEL).simulate(owner, rate=company.rate, seconds=company.seconds, seed=company.seed)
    )
    try:
        while not writing.done():
            await asyncio.wait({writing}, timeout=TICK_SECONDS)
            await pipeline.extract()
    finally:
        writing.cancel()
        await asyncio.wait({writing})
    counts: show.Written = writing.result()
    story.fact("company has written", f"The company has written {show.written(counts)}.", **show.counted(counts))
    await pipeline.extract()
    verification = await verified(databases)
    story.verification(verification)
    if not verification.is_equal:
        raise StageFailed("The warehouse is not what the source says.")


def _show_inside(story: Story, pipeline: Pipeline, server: PostgresServer) -> None:
    story.chapter("look inside while it runs; Ctrl-C ends it")
    services = pipeline.services.addresses
    # A password that is printed is in a log, and one that is given to psql in its command line.
    passfile = str(server.passfile())
    source, warehouse = (f"postgresql://{SUPERUSER}@{LOOPBACK}:{server.port}/{name}" for name in _DATABASES)
    lines = [
        f"  source    PGPASSFILE={passfile} psql {source}",
        f"  warehouse PGPASSFILE={passfile} psql {warehouse}",
        *address_lines(pipeline),
    ]
    told = {"source": source, "warehouse": warehouse, "passfile": passfile, "lake": pipeline.lake}
    story.fact("look inside", "\n".join(lines), **told, services=dict(services))
