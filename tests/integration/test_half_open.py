"""Who opens connections and asks nothing, or slowly, keeps nobody else from an answer, and does not fill the log."""

import asyncio
import json
import resource
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tests.processes import LIBRARY, Service, environment, running
from tests.until import until
from totesys.log_events import LogEvent
from totesys.logs import MOST_OF_OURS, WINDOW_SECONDS
from totesys.service.http_connections import Limits, limited
from totesys_cli.local.local_data_plane import LocalDataPlane

HALF = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
FLOOD = 1_100
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def service(data_plane: LocalDataPlane) -> AsyncIterator[Service]:
    """While it runs, this process may open as many files as the flood needs."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    async with running("transform", environment("transform", data_plane) | LIBRARY) as service:
        yield service
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def opened(url: str, said: bytes = HALF) -> Pair:
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(said)
    return reader, writer


def is_open(pair: Pair) -> bool:
    return not pair[0].at_eof() and pair[0].exception() is None


async def ended(pair: Pair) -> bytes:
    """All that comes until the other side closes it."""
    try:
        return await pair[0].read()
    except ConnectionError:
        return b""
    finally:
        pair[1].close()


async def test_half_open_requests_keep_nobody_from_asking_for_health(service: Service) -> None:
    held = [await opened(service.url) for _ in range(FLOOD)]
    async with httpx.AsyncClient(base_url=service.url, timeout=20) as client:
        for _ in range(5):
            assert (await client.get("/health", headers={"Connection": "close"})).status_code == 200
        # The flood goes on: what was closed is opened anew.
        held += [await opened(service.url) for _ in range(FLOOD)]
        assert (await client.get("/health/ready")).status_code == 200
        await until(lambda: sum(is_open(pair) for pair in held) <= Limits().most)
    for _, writer in held:
        writer.close()
    lines = (await service.last_words()).splitlines()
    kinds = Counter((line["event"], line["level"]) for line in map(json.loads, lines))
    # Each flood may fall into two windows.
    assert kinds[LogEvent.HTTP_CONNECTION_CLOSED, "warning"] <= 4 * MOST_OF_OURS + WINDOW_SECONDS
    assert not any("socket.accept" in event for event, _ in kinds)
    assert len(lines) < 6 * MOST_OF_OURS


@pytest.fixture
async def impatient() -> AsyncIterator[str]:
    """A server with three connections and little time; its address."""
    app = FastAPI()

    @app.get("/")
    async def home() -> str:
        return "home"

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(1)
        return "late"

    limits = Limits(3, to_ask=timedelta(seconds=1), to_answer=timedelta(seconds=3))
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=limited(limits), log_config=None, timeout_keep_alive=60))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    host, port = server.servers[0].sockets[0].getsockname()
    yield f"http://{host}:{port}"
    server.should_exit = True
    await serving


async def test_headers_that_do_not_come_in_time_end_the_connection(impatient: str) -> None:
    async def drip(pair: Pair) -> None:
        for byte in b"X-Slow: " + b"x" * 1_000:
            pair[1].write(bytes([byte]))
            await asyncio.sleep(0.05)

    silent, slow = await opened(impatient, b""), await opened(impatient)
    dripping = asyncio.create_task(drip(slow))
    async with asyncio.timeout(20):
        assert await ended(silent) == b""
        assert await ended(slow) == b""
    dripping.cancel()


async def test_an_answer_may_take_longer_than_a_request(impatient: str) -> None:
    async with httpx.AsyncClient(base_url=impatient) as client:
        assert (await client.get("/slow")).json() == "late"
        assert (await client.get("/")).json() == "home"


async def test_a_second_request_of_a_connection_has_no_more_time_than_the_first(impatient: str) -> None:
    pair = await opened(impatient, HALF.replace(b"/health", b"/") + b"\r\n" + HALF)
    async with asyncio.timeout(20):
        assert (await ended(pair)).count(b"200 OK") == 1


async def test_who_asks_is_not_given_up_for_who_comes_after(impatient: str) -> None:
    async with httpx.AsyncClient(base_url=impatient) as client:
        asked = asyncio.create_task(client.get("/slow"))
        await asyncio.sleep(0.2)
        held = [await opened(impatient) for _ in range(20)]
        assert (await asked).json() == "late"
        assert (await client.get("/")).json() == "home"
    for pair in held:
        pair[1].close()
