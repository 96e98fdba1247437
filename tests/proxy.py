"""A proxy in front of Postgres: it can speak TLS, which the embedded server cannot, and it can fall silent."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

LOOPBACK = "127.0.0.1"
# What a client sends first that asks for TLS: "SSLRequest" in Postgres' "Message Formats".
SSL_REQUEST = bytes.fromhex("0000000804d2162f")


@dataclass
class Proxy:
    """A running proxy. `encrypted` counts the connections that spoke TLS; set `silent`, and no byte passes any more."""

    dsn: str
    port: int = 0
    encrypted: int = 0
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    ends: set[asyncio.StreamWriter] = field(default_factory=set)

    def address(self, host: str = LOOPBACK, **query: str) -> str:
        """The DSN of the same database, reached through the proxy."""
        parts = urlsplit(self.dsn)
        netloc = f"{parts.netloc.rpartition('@')[0]}@{host}:{self.port}"
        return parts._replace(netloc=netloc, query=urlencode(query)).geturl()

    def cut(self) -> None:
        """End all connections at once, without a word of Postgres'."""
        for end in self.ends:
            end.transport.abort()


@asynccontextmanager
async def in_front_of(dsn: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """A proxy in front of a database; with `tls` it takes in TLS and passes on what was in it."""
    proxy = Proxy(dsn)
    served: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        assert own is not None
        served.add(own)
        proxy.ends.add(writer)
        try:
            # Whoever breaks off is told so by the other end.
            with suppress(OSError, asyncio.IncompleteReadError):
                await _serve(proxy, tls, reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)


async def _serve(
    proxy: Proxy, tls: ssl.SSLContext | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    first = await reader.readexactly(len(SSL_REQUEST))
    if tls is not None and first == SSL_REQUEST:
        writer.write(b"S")
        await writer.start_tls(tls)
        proxy.encrypted += 1
        first = b""
    target = urlsplit(proxy.dsn)
    from_server, to_server = await asyncio.open_connection(target.hostname, target.port)
    proxy.ends.add(to_server)
    to_server.write(first)
    try:
        await asyncio.gather(_pass_on(proxy, reader, to_server), _pass_on(proxy, from_server, writer))
    finally:
        to_server.close()


async def _pass_on(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            if proxy.silent.is_set():
                await asyncio.Event().wait()
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
