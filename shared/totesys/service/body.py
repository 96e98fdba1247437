"""The limit of a request's body, in bytes and in time."""

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
# Of a body that is too large so many times the limit is read, for so long, before it is refused.
_DISCARDED, _DISCARD_SECONDS = 16, 1.0


class BodyLimit:
    """Takes a request's body in before the app sees it: at most `most` bytes, within `longest`.

    What is refused is answered by `refuse`, and its connection closed: the rest of the body may still be on its way.
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
            async with asyncio.timeout(self._longest.total_seconds()):
                body = await self._read(Headers(scope=scope), receive)
        except TimeoutError:
            refusal = _refusal(408, f"The body did not come within {self._longest.total_seconds():g} s.")
            await self._refuse(Request(scope), refusal)(scope, receive, send)
        except HTTPException as refusal:
            await self._refuse(Request(scope), refusal)(scope, receive, send)
        else:
            await self._app(scope, _after(body, receive), send)

    async def _read(self, headers: Headers, receive: Receive) -> Message:
        """The whole body as one message, or that the client has gone. Raises HTTPException."""
        size = int(headers.get("content-length", 0))
        body = bytearray()
        more = True
        while more or size > self._most:
            if size > self._most:
                await self._discard(receive, more)
                raise _refusal(413, f"A body has at most {self._most // KIB} KiB.")
            message = await receive()
            if message["type"] != "http.request":
                return message
            body += message.get("body", b"")
            more = message.get("more_body", False)
            size = max(size, len(body))
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    async def _discard(self, receive: Receive, more: bool) -> None:
        """Read some of what is too much: a connection that is closed while bytes come may lose the answer."""
        taken = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_SECONDS):
                while more and taken <= _DISCARDED * self._most:
                    message = await receive()
                    taken += len(message.get("body", b""))
                    more = message.get("more_body", False)


def _refusal(status: int, detail: str) -> HTTPException:
    return HTTPException(status, detail, headers={"Connection": "close"})


def _after(first: Message, receive: Receive) -> Receive:
    waiting = [first]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message
