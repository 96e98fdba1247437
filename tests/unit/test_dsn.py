"""A DSN that leads nowhere is named by its place, never with its password."""

import pytest

from totesys.errors import DatabaseUnavailable, SettingsError
from totesys.postgres import connect, place

UNREADABLE = [
    "postgresql://u:secret@h:port/db",
    "postgresql://u:secret@[::1/db",
    "postgresql://u:secret@127.0.0.1:99999/db",
    "postgresql://u:secret@127.0.0.1:1/db?sslmode=bogus",
    "postgresql://u:secret/secret@127.0.0.1:1/db",
    "postgresql://u:secret#secret@127.0.0.1:1/db",
    "postgres//u:secret@h/db",
    "host=127.0.0.1 password=secret",
]
UNREACHABLE = ["postgresql://u:secret@127.0.0.1:1/db", "postgresql://127.0.0.1:1/secret@127.0.0.1:1/db"]


@pytest.mark.parametrize("dsn", UNREADABLE)
async def test_a_dsn_that_cannot_be_read_is_a_wrong_setting(dsn: str) -> None:
    with pytest.raises(SettingsError, match="The DSN of the source cannot be read") as raised:
        async with connect("The source", dsn):
            pass
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("dsn", UNREACHABLE)
async def test_a_server_that_does_not_answer_is_named_without_the_password(dsn: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"The source at .* does not answer") as raised:
        async with connect("The source", dsn):
            pass
    assert "secret" not in str(raised.value)


def test_a_place_is_host_port_and_database() -> None:
    assert place("postgresql://u:secret@h:1/db") == "h:1/db"
    assert place("postgresql://u:secret@h/db?sslmode=require") == "h:5432/db"
    assert place("postgresql://u:1/secret@h/db") == "its DSN"
