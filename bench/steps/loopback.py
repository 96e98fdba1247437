"""An HTTP server that keeps nothing: the speed of a socket alone.

PUT discards the body; GET `/{bytes}` answers with that many. It runs as a process of its own, as S3 does, and prints
its port.
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PIECE = bytearray(1024 * 1024)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        buffer = bytearray(len(_PIECE))
        while left and (taken := self.rfile.readinto(memoryview(buffer)[: min(left, len(buffer))])):
            left -= taken
        self._answer(0)

    def do_GET(self) -> None:
        left = int(self.path.removeprefix("/"))
        self._answer(left)
        while left:
            given = min(left, len(_PIECE))
            self.wfile.write(memoryview(_PIECE)[:given])
            left -= given

    def _answer(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log no requests."""


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
