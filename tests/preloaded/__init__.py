"""Start services and the command without importing them: a server has imported everything and forks for each start.

A service takes two seconds to import and a few milliseconds to fork, and the tests start hundreds. The program is the
same: `launcher.py` takes the place of `python -m totesys_load`, and passes on its input, output, environment, signals
and exit code. `Command(fresh=True)` and the benchmark start what users start.
"""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADDRESS = "TESTS_PRELOADED"
_FOLDER = Path(__file__).parent


def service_command(stage: str) -> list[str]:
    """What starts a service, in place of `python -m totesys_{stage}`."""
    return [*_launcher(), f"totesys_{stage}"]


def cli_command() -> list[str]:
    """What calls the command, in place of `totesys`."""
    return [*_launcher(), "totesys"]


def _launcher() -> list[str]:
    return [sys.executable, "-I", "-S", str(_FOLDER / "launcher.py"), os.environ[ADDRESS]]


@contextmanager
def serving() -> Iterator[None]:
    """The server runs as long as the block lasts; this process and its children find it by the environment."""
    with tempfile.TemporaryDirectory(prefix="totesys-preloaded-") as folder, socket.socket(socket.AF_UNIX) as listener:
        os.environ[ADDRESS] = str(Path(folder) / "socket")
        listener.bind(os.environ[ADDRESS])
        # Launchers may connect at once; they are served when everything is imported.
        listener.listen(64)
        command = [sys.executable, str(_FOLDER / "server.py"), str(listener.fileno())]
        # Its standard input ends with this process, however that ends, and with it the server and all that it forked.
        with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()], start_new_session=True):
            listener.close()
            yield
        del os.environ[ADDRESS]
