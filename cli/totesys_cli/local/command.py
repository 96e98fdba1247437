"""`totesys local`: what a local stack is made of, where its servers run already."""

import json as json_module
from dataclasses import asdict, dataclass, field
from datetime import timedelta

import boto3
from botocore.config import Config
from rich.console import Console

from totesys.connection import database_errors
from totesys_cli.company import make_source, make_warehouse
from totesys_cli.databases import Databases
from totesys_cli.durations import schedule_expression
from totesys_cli.errors import BadInput
from totesys_cli.local.credentials import Credentials, known
from totesys_cli.local.data_plane import REGION, make_data_plane
from totesys_cli.local.secrets import LOADER, READER
from totesys_cli.progress import LINE_SECONDS, progress
from totesys_cli.roles import Role, require_password
from totesys_cli.simulate import simulation_of
from totesys_infra import data_plane_template


@dataclass(frozen=True)
class Past:
    """The company's generated past: which, and how much of it."""

    seed: int
    scale: float


@dataclass(frozen=True)
class Passwords:
    """Those of the roles of ingest and load; `reset`: also where a role is there that has another."""

    reader: str = field(repr=False)
    loader: str = field(repr=False)
    reset: bool = False


def deploy(console: Console, endpoint: str, name: str, every: timedelta, *, json: bool) -> None:
    """Make the data plane `name` in the emulator at `endpoint`, or bring it up to date. Raises LocalStackError."""
    schedule = schedule_expression(every)
    if schedule is None:
        raise BadInput("The emulator's schedule knows whole minutes only: 1m, 5m, 1h.")
    credentials = known(endpoint)
    if credentials is None:
        found = boto3.Session().get_credentials()
        if found is None:
            raise BadInput("AWS's settings name no credentials: set those of the emulator.")
        credentials = Credentials(found.access_key, found.secret_key)
    session = boto3.Session(credentials.access_key, credentials.secret_key, region_name=REGION)
    config = Config(connect_timeout=5, read_timeout=30, s3={"addressing_style": "path"})
    cloudformation = session.client("cloudformation", endpoint_url=endpoint, config=config)
    s3 = session.client("s3", endpoint_url=endpoint, config=config)
    plane = make_data_plane(cloudformation, s3, endpoint, credentials, data_plane_template(), name, schedule)
    if json:
        described = asdict(plane)
        del described["credentials"]
        console.print_json(json_module.dumps(described))
        return
    console.print(
        f"The data plane {name} is there: buckets {plane.ingest_bucket}, {plane.processed_bucket} and "
        f"{plane.code_bucket}, six queues, a {schedule} tick.",
        soft_wrap=True,
    )


async def make_databases(
    console: Console, databases: Databases, passwords: Passwords, past: Past, *, json: bool
) -> None:
    """Make and fill the source where it is empty, and have the roles of ingest and load. Raises BadInput."""
    source, warehouse, model = databases.source, databases.warehouse, databases.model
    reader, loader = Role(READER, passwords.reader), Role(LOADER, passwords.loader)
    if not passwords.reset:
        await require_password("The source", source, reader)
        await require_password("The warehouse", warehouse, loader)
    total = sum(simulation_of(model).scaled_rows(past.scale).values())
    with progress(total, every=LINE_SECONDS) as steps, database_errors("The source", source):
        written: dict[str, int] = {}

        def tell(table: str, rows: int) -> None:
            steps.step(f"rows, now of {table}", rows - written.get(table, 0))
            written[table] = rows

        rows = await make_source(source, reader, model=model, seed=past.seed, scale=past.scale, progress=tell)
    with database_errors("The warehouse", warehouse):
        await make_warehouse(warehouse, loader)
    if json:
        console.print_json(json_module.dumps({"rows": rows, "roles": [READER, LOADER]}))
        return
    if rows is None:
        console.print("The source has its tables already; they stay as they are.")
    else:
        console.print(f"The source has {sum(rows.values()):,} rows in {len(rows)} tables (seed {past.seed}).")
    console.print(f"The roles {READER} and {LOADER} are there.")
