"""A password in a secret of Secrets Manager, which is changed while load runs."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import httpx
import pytest
from mypy_boto3_secretsmanager import SecretsManagerClient

from tests.command import as_role
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.processes import LIBRARY, environment, running
from tests.sources import execute, make_library, verified
from totesys.connection import connect, redacted
from totesys.errors import SettingsError
from totesys.log_events import LogEvent
from totesys.sql import ident, literal
from totesys.triggers import RECONCILE, ExtractTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.emulator_access import SERVICES
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres

BEFORE, AFTER = "Xyzzy-1", "Plugh-2"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """An emulator that serves Secrets Manager, too; local stacks' own do not."""
    with Emulator.start(services=(*SERVICES, "secretsmanager")) as running:
        yield running


@pytest.fixture
def secrets(data_plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch) -> SecretsManagerClient:
    """Secrets Manager, where the test's own process looks for secrets, too."""
    for name, value in data_plane.environment().items():
        monkeypatch.setenv(name, value)
    # A session of its own: the default one keeps the credentials of whoever asked first.
    return boto3.Session().client("secretsmanager")


@pytest.fixture
async def role(postgres: ReachablePostgres) -> AsyncIterator[str]:
    """A role with the first password. Requested before a database of its own, it ends after it."""
    name = f"rotated_{uuid4().hex[:8]}"
    await execute(postgres.dsn(), f"CREATE ROLE {ident(name)} LOGIN PASSWORD {literal(BEFORE)}")
    yield name
    await execute(postgres.dsn(), f"DROP ROLE {ident(name)}")


def login(role: str, password: str) -> str:
    """A secret as RDS writes it."""
    return json.dumps({"username": role, "password": password})


def naming(dsn: str, secret: str) -> str:
    """The DSN of the same database that names a secret in place of a role."""
    return f"postgresql://{dsn.rpartition('@')[2]}?secret={secret}"


async def test_load_goes_on_after_its_password_was_rotated(
    data_plane: LocalDataPlane,
    secrets: SecretsManagerClient,
    postgres: ReachablePostgres,
    role: str,
    database: Callable[[], str],
) -> None:
    source, warehouse = await make_library(database()), database()
    await execute(postgres.dsn(), f"ALTER DATABASE {ident(warehouse.rpartition('/')[2])} OWNER TO {ident(role)}")
    secret = secrets.create_secret(Name=role, SecretString=login(role, BEFORE))["ARN"]
    settings = environment("load", data_plane, warehouse_dsn=naming(warehouse, secret)) | LIBRARY
    async with (
        Pipeline(MODEL, data_plane, source, warehouse) as pipeline,
        running("load", settings) as load,
        httpx.AsyncClient(base_url=load.url) as client,
    ):
        await pipeline.ingest.work(ExtractTrigger())
        await pipeline.transform.work(RECONCILE)
        await load.event(LogEvent.RUN_COMPLETED, run=1)

        await execute(postgres.dsn(), f"ALTER ROLE {ident(role)} PASSWORD {literal(AFTER)}")
        problem = (await client.get("/health/ready")).json()
        assert problem["dependencies"]["warehouse"] == "database unavailable"
        assert f"refuses the login in the secret {secret}" in problem["detail"]

        secrets.put_secret_value(SecretId=secret, SecretString=login(role, AFTER))
        await execute(source, "UPDATE loan SET fee = 9 WHERE loan_id = 1")
        await pipeline.ingest.work(ExtractTrigger())
        await pipeline.transform.work(RECONCILE)
        await load.event(LogEvent.RUN_COMPLETED, run=2)
        assert (await client.get("/health/ready")).status_code == 200
        printed = (await load.last_words()).decode()
        assert await verified(source, naming(warehouse, secret), MODEL)
    assert BEFORE not in printed
    assert AFTER not in printed


@pytest.mark.parametrize("way", ["of a DSN", "in a password file"])
async def test_a_refused_login_is_waited_for_and_uses_up_no_message(
    data_plane: LocalDataPlane,
    emulator: Emulator,
    postgres: ReachablePostgres,
    role: str,
    database: Callable[[], str],
    tmp_path: Path,
    way: str,
) -> None:
    source = await make_library(database())
    await execute(source, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ident(role)}")
    file = tmp_path / "passwords"
    file.touch(0o600)
    file.write_text(f"*:*:*:*:{BEFORE}")
    in_dsn, in_file = as_role(source, role, BEFORE), f"postgresql://{role}@{source.rpartition('@')[2]}"
    dsn = in_dsn if way == "of a DSN" else in_file
    settings = environment("ingest", data_plane, source_dsn=dsn) | LIBRARY
    settings["PGPASSFILE"] = str(file)
    async with running("ingest", settings) as ingest, httpx.AsyncClient(base_url=ingest.url) as client:
        await client.post("/trigger")
        await ingest.event(LogEvent.MESSAGE_PROCESSED)
        await execute(postgres.dsn(), f"ALTER ROLE {ident(role)} PASSWORD {literal(AFTER)}")
        for _ in range(6):
            await client.post("/trigger")
        waiting = await ingest.event(LogEvent.DEPENDENCIES_UNAVAILABLE)
        assert waiting["dependencies"]["source"].startswith(f"The source at {redacted(source)} refuses the login: ")
        if way == "of a DSN":
            await execute(postgres.dsn(), f"ALTER ROLE {ident(role)} PASSWORD {literal(BEFORE)}")
        else:
            file.write_text(f"*:*:*:*:{AFTER}")
        await ingest.event(LogEvent.DEPENDENCIES_RECOVERED)
        for _ in range(6):
            assert (await ingest.event(LogEvent.MESSAGE_PROCESSED))["receives"] <= 2
        printed = (await ingest.last_words()).decode()
    dead = emulator.sqs.get_queue_attributes(QueueUrl=data_plane.ingest_dlq_url, AttributeNames=["All"])["Attributes"]
    assert dead["ApproximateNumberOfMessages"] == dead["ApproximateNumberOfMessagesNotVisible"] == "0"
    assert BEFORE not in printed
    assert AFTER not in printed


@pytest.mark.parametrize(
    ("held", "said"),
    [(None, "does not exist"), ("postgresql://x:hidden@h/d", "is not JSON with"), ('{"password": "hidden"}', "JSON")],
)
async def test_a_secret_that_is_no_login_is_named_and_not_shown(
    secrets: SecretsManagerClient, database: Callable[[], str], held: str | None, said: str
) -> None:
    name = f"no-login-{uuid4().hex[:8]}"
    if held is not None:
        name = secrets.create_secret(Name=name, SecretString=held)["ARN"]
    with pytest.raises(SettingsError, match=said) as refused:
        async with connect("The warehouse", naming(database(), name)):
            raise AssertionError
    assert name in str(refused.value)
    assert "hidden" not in str(refused.value)
