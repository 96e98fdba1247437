"""Limits on a request's body, in bytes and in time."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KIB = 1024
# How much of a body that is too large is read before it is refused, in multiples of the limit and in seconds.
_DISCARD_LIMITS, _DISCARD_SECONDS = 16, 1.0


class BodyLimit:
    """Reads a request's body before the app sees it: at most `most` bytes, within `longest`.

    `refuse` answers what exceeds a limit. The connection is then closed, as the rest of the body may still come.
    """

    def __init__(
        self,
        app: ASGIApp,
        refuse: Callable[[Request, Exception], Response],
        most: int = 64 * KIB,
        longest: timedelta = timedelta(seconds=10),
    ) -> None:
        self._app = app
        self._refuse = refuse
        self._most = most
        self._longest = longest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(Headers(scope=scope), receive)
        except HTTPException as refusal:
            await self._refuse(Request(scope), refusal)(scope, receive, send)
        else:
            await self._app(scope, _replayed(body, receive), send)

    async def _read(self, headers: Headers, receive: Receive) -> Message:
        """The whole body as one message, or the message that the client disconnected. Raises HTTPException."""
        try:
            async with asyncio.timeout(self._longest.total_seconds()):
                return await self._read_up_to_limit(int(headers.get("content-length", 0)), receive)
        except TimeoutError:
            raise _refusal(408, f"The body did not arrive within {self._longest.total_seconds():g} s.") from None

    async def _read_up_to_limit(self, size: int, receive: Receive) -> Message:
        body = bytearray()
        more = True
        while more or size > self._most:
            if size > self._most:
                await self._discard(receive, more)
                raise _refusal(413, f"The body is larger than {self._most // KIB} KiB.")
            message = await receive()
            if message["type"] != "http.request":
                return message
            body += message.get("body", b"")
            more = message.get("more_body", False)
            size = max(size, len(body))
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    async def _discard(self, receive: Receive, more: bool) -> None:
        """Read some of the excess: the client may never see the answer if the connection closes while it sends."""
        taken = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_SECONDS):
                while more and taken <= _DISCARD_LIMITS * self._most:
                    message = await receive()
                    taken += len(message.get("body", b""))
                    more = message.get("more_body", False)


def _refusal(status: int, detail: str) -> HTTPException:
    return HTTPException(status, detail, headers={"Connection": "close"})


def _replayed(first: Message, receive: Receive) -> Receive:
    waiting = [first]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message
