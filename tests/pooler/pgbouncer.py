"""Debian's PgBouncer in front of the tests' server."""

import asyncio
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from totesys_cli.local.binaries import server_account
from totesys_cli.local.reachable import ReachablePostgres

LONGEST_WAIT = 30.0


@asynccontextmanager
async def pgbouncer(postgres: ReachablePostgres, **settings: str) -> AsyncIterator[int]:
    """The port of a PgBouncer with these settings besides its usual ones."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert program is not None, "PgBouncer is not installed: make test-pooler does that"
    server, account, port = urlsplit(postgres.dsn()), server_account(), _free_port()
    with tempfile.TemporaryDirectory(prefix="totesys-test-", dir="/tmp") as name:
        folder = Path(name)
        users, configuration = folder / "users.txt", folder / "pgbouncer.ini"
        users.write_text(f'"{server.username}" "{unquote(server.password or "")}"\n')
        given = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(port),
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": str(users),
            **settings,
        }
        configuration.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\n"
            + "".join(f"{name} = {value}\n" for name, value in given.items())
        )
        for path in (users, configuration, folder):
            if account is not None:
                shutil.chown(path, account.uid, account.gid)
        process = await asyncio.create_subprocess_exec(
            program,
            "--quiet",
            str(configuration),
            user=None if account is None else account.name,
            stderr=subprocess.DEVNULL,
        )
        try:
            await asyncio.wait_for(_answers(port), LONGEST_WAIT)
            yield port
        finally:
            process.terminate()
            await process.wait()


async def _answers(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def through(port: int, dsn: str) -> str:
    """The DSN of the same database, reached by way of the pooler."""
    parts = urlsplit(dsn)
    return parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
