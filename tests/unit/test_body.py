"""A request's body reaches the app whole, or is refused because it is too large or too slow."""

import asyncio
from datetime import timedelta
from itertools import chain, repeat

from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from tests.examples import examples
from totesys.service.body import BodyLimit

MOST = 8
SOON = timedelta(milliseconds=1)
GONE: Message = {"type": "http.disconnect"}


def refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse("", status_code=error.status_code, headers=error.headers)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that answers with the body it reads."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    await PlainTextResponse(body)(scope, receive, send)


async def answer(messages: list[Message], declared: int | None = None, longest: timedelta = SOON) -> list[Message]:
    """The answer to a client that sends these messages and then stops."""
    headers = [] if declared is None else [(b"content-length", str(declared).encode())]
    waiting, sent = iter(messages), list[Message]()

    async def receive() -> Message:
        for message in waiting:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    await BodyLimit(echo, refuse, MOST, longest)(scope, receive, send)
    return sent


def in_chunks(chunks: list[bytes]) -> list[Message]:
    lasts = chain(repeat(True, len(chunks) - 1), [False])
    return [{"type": "http.request", "body": c, "more_body": m} for c, m in zip(chunks, lasts, strict=True)]


@examples(200)
@given(st.lists(st.binary(max_size=MOST), min_size=1, max_size=4), st.booleans())
async def test_a_body_within_the_limit_arrives_whole_in_any_chunks(chunks: list[bytes], declared: bool) -> None:
    body = b"".join(chunks)
    start, *rest = await answer(in_chunks(chunks), len(body) if declared else None, timedelta(seconds=60))
    if len(body) <= MOST:
        assert (start["status"], rest[0]["body"]) == (200, body)
    else:
        assert start["status"] == 413
        assert (b"connection", b"close") in start["headers"]


async def test_a_body_declared_too_large_is_refused_before_it_arrives() -> None:
    start, *_ = await answer([], declared=MOST + 1, longest=timedelta(seconds=60))
    assert start["status"] == 413


async def test_a_body_that_arrives_too_late_is_refused() -> None:
    start, *_ = await answer([{"type": "http.request", "body": b"1", "more_body": True}])
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]


async def test_a_client_that_disconnects_is_not_an_error() -> None:
    start, *_ = await answer([{"type": "http.request", "body": b"1", "more_body": True}, GONE])
    assert start["status"] == 200
