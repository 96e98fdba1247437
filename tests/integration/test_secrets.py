"""No password and no token shows in what a service prints or answers, however it fails."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus
from uuid import uuid4

import httpx
import pytest

from tests.command import as_role
from tests.processes import LIBRARY, environment, running
from tests.sources import execute, make_library
from totesys.connection import redacted
from totesys.lake.keys import RUN_NUMBER
from totesys.lake.records import RunCounter
from totesys.log_events import LogEvent
from totesys.sql import literal
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_cli.options import Databases
from totesys_ingest.source_connection import open_source

# Each has characters that mean something in a URL, in JSON or in a regular expression.
PASSWORD = 'Xyzzy/p@ss:w0rd?#%41 "ü"'
TOKEN = "Plugh/t0ken+=%41"
ROLE = "conspicuous"
DATABASES = {"ingest": "source", "load": "warehouse"}


def shown(text: str) -> list[str]:
    """The secrets, or their halves, that a text shows in any writing."""
    writings = (str, repr, quote, quote_plus, lambda secret: quote(secret, safe=""), lambda s: s.replace('"', '\\"'))
    whole = {write(secret) for secret in (PASSWORD, TOKEN) for write in writings}
    return [part for part in (*whole, "Xyzzy", "Plugh", "w0rd", "t0ken") if part in text]


@pytest.fixture
async def role(postgres: ReachablePostgres) -> str:
    """A role that may do anything, with a password that is seen from afar."""
    await execute(
        postgres.dsn(),
        f"DROP ROLE IF EXISTS {ROLE}",
        f"CREATE ROLE {ROLE} LOGIN SUPERUSER PASSWORD {literal(PASSWORD)}",
    )
    return ROLE


def failures(dsn: str) -> dict[str, str]:
    """DSNs that do not work, each in its own way."""
    right = as_role(dsn, ROLE, PASSWORD)
    return {
        "not as declared": right,
        "down": as_role("postgresql://x@127.0.0.1:1/db", ROLE, PASSWORD),
        "wrong password": as_role(dsn, ROLE, f"{PASSWORD}!"),
        "no such database": f"{right}_not",
        "no URL": f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1/db",
        "no such file": f"{right}?sslmode=verify-full&sslrootcert=/nowhere",
        "no TLS": f"{right}?sslmode=require",
    }


@pytest.mark.parametrize("failure", failures("postgresql://h/d"))
@pytest.mark.parametrize("stage", DATABASES)
async def test_a_service_that_fails_shows_no_secret(
    emulator: Emulator,
    data_plane: LocalDataPlane,
    database: Callable[[], str],
    role: str,
    tmp_path: Path,
    stage: str,
    failure: str,
) -> None:
    # Neither the library's source nor its warehouse, and the lake has had a run that load would bring in.
    dsn = await make_library(database())
    await execute(dsn, "ALTER TABLE book DROP COLUMN title", "CREATE SCHEMA warehouse CREATE TABLE dim_book ()")
    counter = RunCounter(lake=uuid4(), last=1).model_dump_json()
    emulator.s3.put_object(Bucket=data_plane.ingest_bucket, Key=RUN_NUMBER, Body=counter)
    name = DATABASES[stage]
    (tmp_path / f"totesys_{name}_dsn").write_text(failures(dsn)[failure])
    settings = environment(stage, data_plane, secrets_dir=str(tmp_path), trigger_token=TOKEN) | LIBRARY
    async with running(stage, settings) as service, httpx.AsyncClient(base_url=service.url) as client:
        refused = await client.post("/trigger", headers={"Authorization": f"Bearer {TOKEN}x"})
        assert refused.status_code == 401
        accepted = await client.post("/trigger", headers={"Authorization": f"Bearer {TOKEN}"}, json={})
        assert accepted.status_code == 202
        ready = await client.get("/health/ready")
        connects = failure == "not as declared"
        assert ready.status_code == (200 if connects else 503)
        await service.event(LogEvent.MESSAGE_FAILED if connects else LogEvent.DEPENDENCIES_UNAVAILABLE)
        answers = [refused, accepted, ready, await client.get("/openapi.json"), await client.get("/runs")]
        printed = (await service.last_words()).decode()
    assert shown(printed) == []
    assert shown("".join(f"{answer.headers} {answer.text}" for answer in answers)) == []


async def test_what_holds_a_dsn_does_not_print_it(database: Callable[[], str]) -> None:
    dsn = database()
    async with open_source(dsn, "public") as source:
        assert dsn not in repr(source)
        assert redacted(dsn) not in repr(source.connection)
    assert dsn not in repr(Databases(dsn, dsn))
