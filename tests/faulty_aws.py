"""AWS as it is on a bad day: a proxy in front of the emulator that breaks some of what passes.

    async with faulty_aws(emulator.endpoint_url, Fault("S3 PutObject", lost, chance=0.2), seed=7) as aws:
        plane = aws.in_front_of(data_plane)
        aws.inject(Fault("*", reset, times=3))      # from now on these instead
        aws.inject()                                # and from now on none

The proxy lives in the event loop of who enters it: nothing there may block while a client is to be served.
"""

import asyncio
import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from random import Random
from xml.sax.saxutils import escape

from aiohttp import ClientSession, ClientTimeout, web

from bench.counting_proxy import operation
from tests.until import until
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.ports import LOOPBACK

# Headers that speak of one connection, not of the message: see RFC 9110, section 7.6.1. The rest aiohttp sets itself.
_NOT_PASSED_ON = {
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "content-length",
}
_LARGEST_BODY = 1024**3


@dataclass(frozen=True)
class Answer:
    """What AWS answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def response(self) -> web.Response:
        return web.Response(status=self.status, headers=self.headers, body=self.body)


@dataclass(frozen=True)
class Exchange:
    """A request, and how to get its answer: until `forward` is called, AWS does not know of it."""

    request: web.Request
    forward: Callable[[], Awaitable[Answer]]
    random: Random

    def breaks(self) -> web.Response:
        """The client's connection is closed. What is returned is for the server: nobody gets it."""
        if self.request.transport is not None:
            self.request.transport.close()
        return web.Response()


Effect = Callable[[Exchange], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Fault:
    """What happens to some requests: those for the operations that match the pattern, such as `S3 GetObject`, `SQS *`.

    Each with the probability `chance`, until it has happened so many `times` (None: without end).
    """

    operations: str
    effect: Effect
    chance: float = 1.0
    times: int | None = None


async def reset(exchange: Exchange) -> web.StreamResponse:
    """The connection breaks before AWS has the request."""
    return exchange.breaks()


async def lost(exchange: Exchange) -> web.StreamResponse:
    """AWS does what is asked; its answer is lost."""
    await exchange.forward()
    return exchange.breaks()


async def silent(exchange: Exchange) -> web.StreamResponse:
    """Nobody answers until the client gives up."""
    await asyncio.Event().wait()
    return exchange.breaks()


async def cut(exchange: Exchange) -> web.StreamResponse:
    """The connection breaks in the middle of the answer's body."""
    await _half(exchange)
    return exchange.breaks()


async def stalled(exchange: Exchange) -> web.StreamResponse:
    """Half of the answer's body comes, and then no more."""
    await _half(exchange)
    return await silent(exchange)


async def short(exchange: Exchange) -> web.StreamResponse:
    """Half of the answer's body comes, and says that it is all."""
    answer = await exchange.forward()
    return Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2]).response()


async def corrupt(exchange: Exchange) -> web.StreamResponse:
    """One byte of the answer's body is another."""
    answer = await exchange.forward()
    body = bytearray(answer.body)
    if body:
        body[exchange.random.randrange(len(body))] ^= exchange.random.randrange(1, 256)
    return Answer(answer.status, answer.headers, bytes(body)).response()


def refused(code: str, status: int, message: str = "") -> Effect:
    """AWS answers with an error, as S3 or SQS writes it, and does nothing."""

    async def refuse(exchange: Exchange) -> web.StreamResponse:
        asked = exchange.request
        if "X-Amz-Target" in asked.headers:
            headers = {"x-amzn-query-error": f"AWS.SimpleQueueService.{code};Sender"}
            text = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": message})
            return web.Response(status=status, headers=headers, text=text, content_type="application/x-amz-json-1.0")
        text = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        return web.Response(status=status, text="" if asked.method == "HEAD" else text, content_type="application/xml")

    return refuse


def late(seconds: float) -> Effect:
    """AWS answers later."""

    async def delay(exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return (await exchange.forward()).response()

    return delay


async def _half(exchange: Exchange) -> None:
    answer = await exchange.forward()
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(answer.body)
    await response.prepare(exchange.request)
    await response.write(answer.body[: len(answer.body) // 2])


class FaultyAws:
    """The running proxy. `seen` counts requests by operation, `broken` those of them that a fault met.

    `resources` counts them by operation and what it is about: `/bucket/key`, or the name of a queue.
    """

    def __init__(self, target: str, session: ClientSession, seed: int) -> None:
        self.endpoint_url = ""
        self.seen: Counter[str] = Counter()
        self.resources: Counter[tuple[str, str]] = Counter()
        self.broken: Counter[str] = Counter()
        self._target = target
        self._session = session
        self._random = Random(seed)
        self._faults: list[Fault] = []
        self._times: Counter[int] = Counter()

    def inject(self, *faults: Fault) -> None:
        """Break requests so from now on; the first fault that meets a request has it. Without faults none is broken."""
        self._faults = list(faults)
        self._times.clear()

    def in_front_of(self, plane: LocalDataPlane) -> LocalDataPlane:
        """The same data plane, reached through this proxy."""
        urls = {
            name: value.replace(plane.endpoint_url, self.endpoint_url)
            for name, value in vars(plane).items()
            if name.endswith("_url")
        }
        return replace(plane, **urls)

    async def until_broken(self, name: str) -> None:
        """Wait until a fault has met a request for the operation."""
        await until(lambda: self.broken[name])

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        body = await request.read()
        asked = operation(request.method, request.query, request.headers)
        self.seen[asked] += 1
        about = json.loads(body).get("QueueUrl", "").rpartition("/")[2] if asked.startswith("SQS ") else request.path
        self.resources[asked, about] += 1
        exchange = Exchange(request, lambda: self._ask(request, body), self._random)
        if fault := self._drawn(asked):
            self.broken[asked] += 1
            return await fault.effect(exchange)
        return (await exchange.forward()).response()

    def _drawn(self, asked: str) -> Fault | None:
        for number, fault in enumerate(self._faults):
            left = fault.times is None or self._times[number] < fault.times
            if left and fnmatchcase(asked, fault.operations) and self._random.random() < fault.chance:
                self._times[number] += 1
                return fault
        return None

    async def _ask(self, request: web.Request, body: bytes) -> Answer:
        async with self._session.request(
            request.method,
            f"{self._target}{request.raw_path}",
            headers=_passed_on(request.headers.items()),
            data=io.BytesIO(body) if body else None,
            allow_redirects=False,
        ) as answer:
            headers = _passed_on(answer.headers.items())
            if request.method == "HEAD":
                headers.append(("Content-Length", answer.headers.get("Content-Length", "0")))
            return Answer(answer.status, headers, await answer.read())


def _passed_on(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in _NOT_PASSED_ON]


@asynccontextmanager
async def faulty_aws(target: str, *faults: Fault, seed: int = 1) -> AsyncIterator[FaultyAws]:
    """A proxy on a free loopback port in front of the server at `target`. The seed is printed."""
    print(f"faults are drawn with the seed {seed}")
    app = web.Application(client_max_size=_LARGEST_BODY)
    # A long poll ends when the server says so; a body is passed on as it is.
    async with ClientSession(timeout=ClientTimeout(total=None), auto_decompress=False) as session:
        aws = FaultyAws(target, session, seed)
        aws.inject(*faults)
        app.router.add_route("*", "/{path:.*}", aws.pass_on)
        # Who waits for a client that has left is not waited for.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, 0).start()
            host, port = runner.addresses[0][:2]
            aws.endpoint_url = f"http://{host}:{port}"
            yield aws
        finally:
            await runner.cleanup()
