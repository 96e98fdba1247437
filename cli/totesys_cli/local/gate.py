"""What stands before the emulator: it admits requests signed with this stack's credentials, for the services needed.

The emulator itself answers anybody who reaches its port, a web page's script too, with every service of AWS: with
Lambda, any caller can run code as the user who started it. So each request, before the emulator sees it, has to be
signed with a secret that is made up for each stack, for one of a few services; and none may come from a browser.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from ministack.core import sigv4

from totesys_cli.local.credentials import Credentials

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Whether it answers; neither says anything of the lake.
_OPEN = {"/_ministack/health", "/_ministack/ready"}
# Of the emulator's own pages, those that show nothing that a service would not.
_SIGNED = {"/_ministack/sqs/messages"}
# More than a message of SQS or a template may have. What is longer is S3's, whose requests name their body's hash.
_LARGEST_BODY = 2 * 1024 * 1024
_ALGORITHM = "AWS4-HMAC-SHA256 "


class Refusal(Exception):
    """Why a request does not get in, as AWS's clients read it."""

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Gate:
    """The application `app` behind these guards."""

    def __init__(
        self, app: App, credentials: Credentials, services: Collection[str], before: Callable[[str], None]
    ) -> None:
        """`before` hears the service of each request that gets in."""
        self._app = app
        self._credentials = credentials
        self._services = services
        self._before = before

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            try:
                receive = await self._let_in(scope, receive)
            except Refusal as refusal:
                await _refuse(refusal, scope, send)
            else:
                await self._app(scope, receive, _without_cors(send))
        else:
            # A WebSocket needs no more than an address to be opened by a page.
            await send({"type": "websocket.close", "code": 1008})

    async def _let_in(self, scope: Scope, receive: Receive) -> Receive:
        """What the emulator receives. Raises Refusal."""
        headers = _joined(scope["headers"])
        if "origin" in headers or any(name.startswith("sec-fetch-") for name in headers):
            raise Refusal("AccessDenied", "A web page has nothing to ask here.")
        if scope["method"] == "GET" and scope["path"] in _OPEN:
            return receive
        if scope["path"].startswith(("/_ministack/", "/_localstack/")) and scope["path"] not in _SIGNED:
            raise Refusal("AccessDenied", "This page of the emulator is not served.")
        signature = _signature(headers)
        if signature.service not in self._services:
            raise Refusal("AccessDenied", f"Only {', '.join(self._services)} are served here.")
        body = b""
        if "x-amz-content-sha256" not in headers:
            body = await _read(receive)
            receive = _replayed(body)
        self._check(signature, scope, headers, body)
        self._before(signature.service)
        return receive

    def _check(self, signature: sigv4.HeaderSignature, scope: Scope, headers: Mapping[str, str], body: bytes) -> None:
        known = self._credentials
        if not hmac.compare_digest(signature.access_key_id.encode(), known.access_key.encode()):
            raise Refusal("InvalidAccessKeyId", "The access key is not this stack's.")
        # As AWS does: encoded anew, so that a proxy which writes the same path in another way changes nothing.
        path = sigv4.uri_encode(scope["path"], encode_slash=False)
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        failure = sigv4.request_time_failure(signature) or sigv4.header_signature_failure(
            signature, known.secret_key, scope["method"], path, query, headers, body
        )
        if failure:
            raise Refusal(*failure)


def _signature(headers: Mapping[str, str]) -> sigv4.HeaderSignature:
    if not headers.get("authorization", "").startswith(_ALGORITHM):
        raise Refusal("AccessDenied", "Sign the request with this stack's credentials.")
    signature = sigv4.parse_header_signature(headers)
    if isinstance(signature, tuple):
        raise Refusal(*signature)
    return signature


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers as the emulator reads them: one that is there twice as one with both values."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), sigv4.decode_header_value(raw_value)
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal("RequestTimeout", "The request has no end.", 400)
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _LARGEST_BODY:
            raise Refusal("EntityTooLarge", "A body of this size needs X-Amz-Content-SHA256.", 413)
    return bytes(body)


def _replayed(body: bytes) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    return receive


def _without_cors(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if not bytes(pair[0]).lower().startswith(b"access-control-")]
            message = {**message, "headers": kept}
        await send(message)

    return sent


async def _refuse(refusal: Refusal, scope: Scope, send: Send) -> None:
    code, text = refusal.code, str(refusal)
    # SQS and EventBridge name their operation in a header, and speak JSON.
    if any(name.lower() == b"x-amz-target" for name, _ in scope["headers"]):
        kind, body = b"application/x-amz-json-1.0", json.dumps({"__type": code, "message": text})
    else:
        error = f"<Error><Code>{escape(code)}</Code><Message>{escape(text)}</Message></Error>"
        kind, body = b"application/xml", f"<ErrorResponse>{error}</ErrorResponse>"
    headers = [
        (b"content-type", kind),
        (b"content-length", b"%d" % len(body.encode())),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
