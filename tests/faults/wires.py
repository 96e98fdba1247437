"""The wires between a service and what it depends on: they name what passes, and something may happen just then.

A service is broken off here, from outside, and runs the code that it runs everywhere.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from aiohttp import web

from tests.faulty_aws import Exchange, Fault, faulty_aws

LOOPBACK = "127.0.0.1"


class When(StrEnum):
    """Before the other side has it, or after that but before the service hears of it."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Moment:
    """A write on its way, such as `put manifest`."""

    when: When
    what: str

    def __str__(self) -> str:
        return f"{self.when} {self.what}"


class Cut(Exception):
    """Raised by a hook: the connection ends here, without an answer."""


Hook = Callable[[Moment], Awaitable[None]]

# What is written to S3 and SQS, by method or action and path.
_S3_WRITES = {
    r"PUT .*/run_number\.json": "put run number",
    r"PUT .*/runs/[^/]+/manifest\.json": "put manifest",
    r"PUT .*/runs/[^/]+/empty\.json": "put empty record",
    r"PUT .*/runs/[^/]+/load\.json": "put load record",
    r"PUT .*/runs/[^/]+/\w+\.failed\.json": "put failure record",
    r"PUT .*/replays/\w+/[^/]+\.json": "put replay record",
    r"PUT .*/quarantine/.*": "put quarantine part",
    r"PUT .*/part-\d+\.(csv|parquet)": "put part",
}
_SQS_WRITES = {
    "DeleteMessage": "delete message",
    "SendMessage": "send message",
    "ChangeMessageVisibility": "hide message",
}
_READS = {"GetQueueAttributes", "ReceiveMessage"}


def name_of(method: str, path: str, target: str | None) -> str | None:
    """What a request to AWS writes; None if it only reads. A write without a name is named as it is."""
    if target is not None:
        action = target.rpartition(".")[2]
        return None if action in _READS else _SQS_WRITES.get(action, action)
    if method in {"GET", "HEAD"}:
        return None
    request = f"{method} {path}"
    return next((name for pattern, name in _S3_WRITES.items() if re.fullmatch(pattern, request)), request)


@asynccontextmanager
async def aws_wire(endpoint_url: str, hook: Hook) -> AsyncIterator[str]:
    """A loopback endpoint in front of S3 and SQS; its URL."""

    async def carry(exchange: Exchange) -> web.StreamResponse:
        request = exchange.request
        what = name_of(request.method, request.path, request.headers.get("X-Amz-Target"))
        try:
            if what:
                await hook(Moment(When.BEFORE, what))
            answer = await exchange.forward()
            if what:
                await hook(Moment(When.AFTER, what))
        except Cut:
            return exchange.breaks()
        return answer.response()

    async with faulty_aws(endpoint_url, Fault("*", carry)) as aws:
        yield aws.endpoint_url


@asynccontextmanager
async def postgres_wire(dsn: str, hook: Hook) -> AsyncIterator[str]:
    """A loopback port in front of a Postgres server; the DSN that leads there."""
    parts = urlsplit(dsn)
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        async with AsyncExitStack() as stack:
            stack.callback(connections.discard, task)
            stack.callback(_abort, writer)
            try:
                server_reader, server_writer = await asyncio.open_connection(parts.hostname, parts.port)
                stack.callback(_abort, server_writer)
                await _Session(reader, writer, server_reader, server_writer, hook).carry()
            except (OSError, Cut, asyncio.IncompleteReadError, asyncio.CancelledError):
                return

    server = await asyncio.start_server(accept, LOOPBACK, 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield parts._replace(netloc=f"{parts.username}:{parts.password}@{LOOPBACK}:{port}").geturl()
    finally:
        server.close()
        for task in connections:
            task.cancel()


def _abort(writer: asyncio.StreamWriter) -> None:
    with suppress(Exception):
        writer.transport.abort()


@dataclass
class _Session:
    """One connection to Postgres, by "Message Formats" of its documentation."""

    client: asyncio.StreamReader
    to_client: asyncio.StreamWriter
    server: asyncio.StreamReader
    to_server: asyncio.StreamWriter
    hook: Hook
    awaited: str | None = None

    async def carry(self) -> None:
        ends = [asyncio.create_task(self._requests()), asyncio.create_task(self._answers())]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in done:
                end.result()
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _requests(self) -> None:
        started = False
        while True:
            # Only what comes before and with the startup message has no type.
            kind = await self.client.readexactly(1) if started else b""
            length = await self.client.readexactly(4)
            body = await self.client.readexactly(int.from_bytes(length, "big") - 4)
            started = started or body[:4] == b"\x00\x03\x00\x00"
            what = _statement(kind, body)
            if what:
                await self.hook(Moment(When.BEFORE, what))
                self.awaited = what
            self.to_server.write(kind + length + body)
            await self.to_server.drain()

    async def _answers(self) -> None:
        while data := await self.server.read(65_536):
            if self.awaited:
                what, self.awaited = self.awaited, None
                await self.hook(Moment(When.AFTER, what))
            self.to_client.write(data)
            await self.to_client.drain()


def _statement(kind: bytes, body: bytes) -> str | None:
    if kind == b"Q" and body.startswith(b"COMMIT"):
        return "commit"
    if kind == b"Q" and body.startswith(b"COPY"):
        return "COPY"
    if kind == b"Q" and b"pg_replication_slot_advance" in body:
        return "advance slot"
    return "COPY data" if kind == b"d" else None
