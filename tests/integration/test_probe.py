"""The container's health check says of a service what the service says of itself."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from totesys_cli.local.ports import LOOPBACK, free_port


def probe(port: int) -> tuple[int, str]:
    """Its exit code and what it prints, for a service on a port."""
    done = subprocess.run(
        [sys.executable, "-m", "totesys.service.probe"],
        env={**os.environ, "TOTESYS_PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    """A server that gives this answer to `GET /health`; its port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer((LOOPBACK, 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1), (500, 1)])
def test_a_service_is_healthy_if_it_says_so(status: int, code: int) -> None:
    with answering(status, b'{"detail": "the consumer has ended"}') as port:
        assert probe(port) == (code, '{"detail": "the consumer has ended"}\n')


def test_a_service_that_does_not_answer_is_not_healthy() -> None:
    code, said = probe(free_port())
    assert code == 1
    assert "does not answer" in said
