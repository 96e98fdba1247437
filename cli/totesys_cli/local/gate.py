"""The gate in front of the emulator: it admits requests signed with this stack's credentials, for the services needed.

The emulator itself answers everyone who reaches its port, including scripts of web pages, with every service of AWS.
Through Lambda, any caller could run code as the user who started it. So the gate admits a request only if it is signed
with a secret generated for this stack, for one of a few services, and never from a browser.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from ministack.core import sigv4

from totesys_cli.local.emulator_access import Credentials

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Health: neither shows anything of the lake.
_OPEN = {"/_ministack/health", "/_ministack/ready"}
# The emulator's own pages that show no more than a service does.
_SIGNED = {"/_ministack/sqs/messages"}
# More than an SQS message or a template may have. Longer bodies are for S3, whose requests have a header with the hash.
_LARGEST_BODY = 2 * 1024 * 1024
_ALGORITHM = "AWS4-HMAC-SHA256 "


class Refusal(Exception):
    """Why a request is refused, in the form that AWS clients read."""

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Gate:
    """The application `app` behind the gate."""

    def __init__(
        self, app: App, credentials: Credentials, services: Collection[str], before: Callable[[str], None]
    ) -> None:
        """Call `before` with the service of each admitted request."""
        self._app = app
        self._credentials = credentials
        self._services = services
        self._before = before

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            try:
                receive = await self._admit(scope, receive)
            except Refusal as refusal:
                await _refuse(refusal, scope, send)
            else:
                await self._app(scope, receive, _without_cors(send))
        else:
            # A web page can open a WebSocket to any address.
            await send({"type": "websocket.close", "code": 1008})

    async def _admit(self, scope: Scope, receive: Receive) -> Receive:
        """The request body for the emulator. Raises Refusal."""
        headers = _joined(scope["headers"])
        if "origin" in headers or any(name.startswith("sec-fetch-") for name in headers):
            raise Refusal("AccessDenied", "Requests from web pages are refused.")
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
            raise Refusal("InvalidAccessKeyId", "The access key does not belong to this stack.")
        # Encoded again, as AWS does: a proxy may write the same path differently.
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
    """The headers as the emulator reads them: a repeated header has all its values."""
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
            raise Refusal("RequestTimeout", "The request is incomplete.", 400)
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
    # SQS and EventBridge name their operation in a header and use JSON.
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
