"""Tokens of IAM: one is signed for each connection, and TLS is asked for.

The server is played by one whose password is the token that AWS's own client makes.
"""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from tests.authority import make_authority
from tests.proxy import Proxy, in_front_of
from tests.sources import execute
from totesys.aws_logins import iam_token
from totesys.connection import connect
from totesys.dsn.resolve import Host
from totesys.errors import LoginRefused, SettingsError
from totesys.sql import literal
from totesys_cli.local.reachable import ReachablePostgres

ROLE, REGION = "iam_role", "eu-west-2"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Clock:
    """What botocore takes for now."""

    now = NOON

    def __call__(self, remove_tzinfo: bool = True) -> datetime:
        return self.now.replace(tzinfo=None) if remove_tzinfo else self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands, and credentials."""
    made = Clock()
    monkeypatch.setattr("botocore.auth.get_current_datetime", made)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "hidden",
        "AWS_SESSION_TOKEN": "session",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    return made


@pytest.fixture
async def server(postgres: ReachablePostgres, database: Callable[[], str], tmp_path: Path) -> AsyncIterator[Proxy]:
    """A database behind TLS whose authority is in `ca.pem`, and a role."""
    await execute(postgres.dsn(), f"CREATE ROLE {ROLE} LOGIN")
    async with in_front_of(database(), make_authority(tmp_path, "ca").server("127.0.0.1")) as proxy:
        yield proxy
    await execute(postgres.dsn(), f"DROP ROLE {ROLE}")


async def expect_token(postgres: ReachablePostgres, port: int) -> None:
    """Have the server take what AWS's own client calls the token now."""
    token = boto3.client("rds", REGION).generate_db_auth_token("127.0.0.1", port, ROLE)
    await execute(postgres.dsn(), f"ALTER ROLE {ROLE} PASSWORD {literal(token)}")


def of(server: Proxy, tmp_path: Path, more: str = f"&region={REGION}") -> str:
    name = urlsplit(server.dsn).path
    return f"postgresql://{ROLE}@127.0.0.1:{server.port}{name}?iam=true&sslrootcert={tmp_path}/ca.pem{more}"


async def user(dsn: str) -> str:
    async with connect("The source", dsn) as connection:
        return str(await connection.fetchval("SELECT current_user"))


async def test_a_token_is_the_password_and_is_signed_anew_for_each_connection(
    postgres: ReachablePostgres, server: Proxy, clock: Clock, tmp_path: Path
) -> None:
    await expect_token(postgres, server.port)
    assert await user(of(server, tmp_path)) == ROLE
    assert server.encrypted == 1
    clock.now += timedelta(minutes=16)
    with pytest.raises(LoginRefused) as refused:
        await user(of(server, tmp_path))
    assert "X-Amz" not in str(refused.value)
    await expect_token(postgres, server.port)
    assert await user(of(server, tmp_path)) == ROLE


async def test_the_region_may_come_from_the_environment(
    postgres: ReachablePostgres, server: Proxy, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await expect_token(postgres, server.port)
    with pytest.raises(SettingsError, match=r"needs the region of .*, which is unknown"):
        await user(of(server, tmp_path, ""))
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    assert await user(of(server, tmp_path, "")) == ROLE


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("&sslmode=prefer", "iam=true needs sslmode=verify-full or require"),
        ("&sslmode=disable", "iam=true needs sslmode=verify-full or require"),
        ("&secret=arn", "iam=true and secret are two ways to log in"),
    ],
)
async def test_a_token_is_sent_to_nobody_unknown(server: Proxy, tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        await user(of(server, tmp_path, more))
    with pytest.raises(SettingsError, match="cannot be verified"):
        await user(of(server, tmp_path).replace("127.0.0.1", "localhost"))


async def test_the_region_of_an_rds_host_is_in_its_name(clock: Clock) -> None:
    host = Host("shop.abc123.eu-west-1.rds.amazonaws.com", "shop.abc123.eu-west-1.rds.amazonaws.com", 5432)
    theirs = boto3.client("rds", "eu-west-1").generate_db_auth_token(host.name, host.port, "me@work")
    assert await iam_token(host, "me@work") == theirs


async def test_without_credentials_it_says_what_is_missing(
    server: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SettingsError, match="There are no AWS credentials"):
        await user(of(server, tmp_path))
