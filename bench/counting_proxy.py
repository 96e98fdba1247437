"""Counts the requests of AWS clients by operation: a reverse proxy between them and the emulator."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from aiohttp import ClientSession, ClientTimeout, web

from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.ports import LOOPBACK

# Headers of one connection, not of the message (RFC 9110, section 7.6.1), and those that aiohttp sets itself.
_NOT_PASSED_ON = frozenset(
    ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "content-length"]
)
_LARGEST_BODY = 1024**3

# S3's operations by the method of a request and the first of these in its query; "" is none of them.
_S3_OPERATIONS = {
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", ""): "GetObject",
    ("PUT", "partNumber"): "UploadPart",
    ("PUT", ""): "PutObject",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("DELETE", ""): "DeleteObject",
    ("HEAD", ""): "HeadObject",
}


def operation(method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The service and operation of a request, such as `SQS ReceiveMessage`."""
    target = headers.get("X-Amz-Target", "")
    if target.startswith("AmazonSQS."):
        return f"SQS {target.removeprefix('AmazonSQS.')}"
    marks = [mark for asked, mark in _S3_OPERATIONS if asked == method and (mark in query or not mark)]
    return f"S3 {_S3_OPERATIONS[method, marks[0]]}" if marks else f"S3 {method}"


@dataclass
class CountingProxy:
    """A running proxy, and the number of requests so far by operation."""

    url: str
    counts: Counter[str] = field(default_factory=Counter)

    def in_front_of(self, plane: LocalDataPlane) -> LocalDataPlane:
        """The same data plane, reached through this proxy."""
        queues = {
            name: value.replace(plane.endpoint_url, self.url)
            for name, value in vars(plane).items()
            if name.endswith(("_queue_url", "_dlq_url"))
        }
        return replace(plane, endpoint_url=self.url, **queues)


@asynccontextmanager
async def counting_proxy(target: str) -> AsyncIterator[CountingProxy]:
    """A proxy on loopback in front of the server at `target`."""
    app = web.Application(client_max_size=_LARGEST_BODY)
    # The server ends a long poll; bodies are passed on unchanged.
    async with ClientSession(timeout=ClientTimeout(total=None), auto_decompress=False) as session:
        runner = web.AppRunner(app, access_log=None)
        proxy = CountingProxy("")

        async def pass_on(request: web.Request) -> web.Response:
            proxy.counts[operation(request.method, request.query, request.headers)] += 1
            async with session.request(
                request.method,
                f"{target}{request.raw_path}",
                headers=_message_headers(request.headers),
                data=await request.read(),
                allow_redirects=False,
            ) as answer:
                return web.Response(
                    status=answer.status, headers=_message_headers(answer.headers), body=await answer.read()
                )

        app.router.add_route("*", "/{path:.*}", pass_on)
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, 0).start()
            host, port = runner.addresses[0][:2]
            proxy.url = f"http://{host}:{port}"
            yield proxy
        finally:
            await runner.cleanup()


def _message_headers(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in _NOT_PASSED_ON]
