"""A server that is gone without a word ends no statement, so we do; a client that is gone keeps no lock."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.proxy import Proxy, in_front_of
from totesys import connection as postgres
from totesys.connection import Connection, connect
from totesys.errors import DatabaseUnavailable
from totesys.keepalive import SERVER_SETTINGS, SILENCE

pytestmark = pytest.mark.postgres

QUICK = {"statement_timeout": "1000"}
LINE = b"1\n" * 32_768


@pytest.fixture
async def proxy(database: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """A proxy in front of an empty database; clients are in a hurry."""
    for limit in ("MARGIN_SECONDS", "CLOSE_SECONDS"):
        monkeypatch.setattr(postgres, limit, 0.1)
    async with in_front_of(database()) as proxy:
        yield proxy


async def ask(connection: Connection, proxy: Proxy) -> None:
    proxy.silent.set()
    await connection.execute("SELECT 1")


async def ask_in_a_transaction(connection: Connection, proxy: Proxy) -> None:
    async with connection.transaction():
        await ask(connection, proxy)


async def copy_out(connection: Connection, proxy: Proxy) -> None:
    async def sink(_data: bytes) -> None:
        proxy.silent.set()

    await connection.copy_from_query("SELECT generate_series(1, 1000000)", output=sink)


async def copy_in(connection: Connection, proxy: Proxy) -> None:
    async def rows() -> AsyncIterator[bytes]:
        yield LINE
        proxy.silent.set()
        while True:
            yield LINE

    await connection.execute("CREATE TEMPORARY TABLE IF NOT EXISTS number (n int)")
    await connection.copy_to_table("number", source=rows())


async def copy_in_until_it_breaks_off(connection: Connection, proxy: Proxy) -> None:
    asyncio.get_running_loop().call_later(0.05, proxy.cut)
    await copy_in(connection, proxy)


async def commit(connection: Connection, proxy: Proxy) -> None:
    async with connection.transaction():
        await connection.execute("SELECT 1")
        proxy.silent.set()


@pytest.mark.parametrize("work", [ask, ask_in_a_transaction, copy_out, copy_in, copy_in_until_it_breaks_off, commit])
async def test_a_server_that_falls_silent_is_given_up(
    proxy: Proxy, work: Callable[[Connection, Proxy], Awaitable[None]]
) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"The server at .* does not answer"):
        async with connect("The server", proxy.address(), **QUICK) as connection:
            await work(connection, proxy)


async def test_a_copy_that_is_cancelled_ends_as_one_that_is_cancelled(proxy: Proxy) -> None:
    async with connect("The server", proxy.dsn) as connection:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await copy_in(connection, proxy)
        # The connection is as good as before.
        assert await connection.fetchval("SELECT count(*) FROM number") == 0


async def test_both_sides_give_up_who_has_gone_without_a_word(database: Callable[[], str]) -> None:
    async with connect("The server", database()) as connection:
        # The server asks its socket.
        idle, interval, count, silence = [await connection.fetchval(f"SHOW {name}") for name in SERVER_SETTINGS]
        assert int(silence) / 1000 == int(idle) + int(interval) * int(count) == SILENCE
        # The client's: the driver gives no other way to it.
        used = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
        assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == SILENCE * 1000
        assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
