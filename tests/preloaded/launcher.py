"""Has the server fork a process, passes files and signals on to it, and ends as it ends.

Run as `python -I -S launcher.py ADDRESS PROGRAM [ARGUMENT …]`. It imports little, because it starts often.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path

# SIGKILL cannot be passed on. It closes the connection, and the server then kills the process.
_PASSED_ON = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    address, *argv = sys.argv[1:]
    request = json.dumps({"argv": argv, "env": dict(os.environ), "cwd": str(Path.cwd())}).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
        connection.connect(address)
        socket.send_fds(connection, [len(request).to_bytes(4, "big")], [0, 1, 2])
        connection.sendall(request)
        pid = int.from_bytes(_exactly(connection, 4), "big")
        # Only the forked process may hold these files, so that readers see their end when it ends.
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        for number in _PASSED_ON:
            signal.signal(number, lambda number, _frame: os.kill(pid, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        status = int.from_bytes(_exactly(connection, 4), "big", signed=True)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            sys.exit("The server of preloaded processes has ended.")
        data += more
    return data


main()
