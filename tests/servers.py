"""Postgres servers that things happen to: restarts, a standby, a disk that goes back, four billion transactions."""

import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg

from tests.sources import execute, until_there_is, value
from totesys.connection import connect
from totesys_cli.local.binaries import find_binaries, server_account
from totesys_cli.local.local_postgres import PostgresServer

# The transactions that a file of the commit log holds, and its bytes.
_FILE_TRANSACTIONS, _FILE_BYTES = 2**20, 2**18
# Each worker's server has up to 1 GiB of log, and databases of some MiB.
_ENOUGH_BYTES = 10 * 2**30


class Server:
    """A server of its own, in a folder that stays while the server restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running = PostgresServer.start(folder, durable=False)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def dsn(self, database: str = "postgres") -> str:
        return self.running.dsn(database)

    def create_database(self, name: str) -> str:
        return self.running.create_database(name)

    def stop(self) -> None:
        self.running.stop()

    def start(self) -> None:
        self.running = PostgresServer.start(self.folder, port=self.running.port, durable=False)

    def restart(self) -> None:
        self.stop()
        self.start()

    async def configure(self, **settings: str) -> None:
        """Settings that need a restart."""
        connection = await asyncpg.connect(self.dsn())
        for name, setting in settings.items():
            await connection.execute(f"ALTER SYSTEM SET {name} = '{setting}'")
        await connection.close()
        self.restart()

    def standby(self, folder: Path) -> "Server":
        """A hot standby that follows this server."""
        folder.mkdir()
        shutil.copy(self.folder / "password", folder / "password")
        _own(folder, folder / "password")
        _run(
            "pg_basebackup",
            "-D",
            str(folder / "data"),
            "-d",
            self.dsn(),
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        )
        return Server(folder)

    def take_port_of(self, other: "Server") -> None:
        """Be found where another server was, which has stopped and sent all that it had."""
        other.stop()
        self.stop()
        self.running = PostgresServer.start(self.folder, port=other.running.port, durable=False)

    def keep(self) -> "Kept":
        """What its disk is now, to which it can go back."""
        self.stop()
        copy = self.folder.with_name(f"{self.folder.name}-kept")
        shutil.copytree(self.data, copy, symlinks=True)
        self.start()
        return Kept(self, copy)

    async def go_to(self, transaction: int) -> None:
        """Be as if so many transactions had been, less than 2^31 of them since: all that there is was frozen."""
        oldest = await self._freeze()
        self.stop()
        log = self.data / "pg_xact" / f"{transaction % 2**32 // _FILE_TRANSACTIONS:04X}"
        with log.open("ab") as file:
            file.truncate(_FILE_BYTES)
        _own(log)
        epoch, xid = divmod(transaction, 2**32)
        _run("pg_resetwal", "-D", str(self.data), "-u", str(oldest), "-x", str(xid), "-e", str(epoch))
        self.start()

    async def _freeze(self) -> int:
        """Freeze every row of every database; the 32-bit id of a transaction before."""
        connection = await asyncpg.connect(self.dsn())
        before = int(await connection.fetchval("SELECT pg_current_xact_id()::xid::text::bigint"))
        await connection.execute("UPDATE pg_database SET datallowconn = true")
        databases = [row[0] for row in await connection.fetch("SELECT datname FROM pg_database")]
        await connection.close()
        for database in databases:
            connection = await asyncpg.connect(self.dsn(database))
            await connection.execute("VACUUM (FREEZE)")
            await connection.close()
        return before


class Kept:
    """An earlier state of a server's disk."""

    def __init__(self, server: Server, copy: Path) -> None:
        self._server = server
        self._copy = copy

    def restore(self) -> None:
        """Have the server go on from that state, once, as if nothing had been since."""
        self._server.stop()
        shutil.rmtree(self._server.data)
        self._copy.rename(self._server.data)
        _own(self._server.data, *self._server.data.rglob("*"))
        self._server.start()

    def forget(self) -> None:
        """It is not gone back to."""
        shutil.rmtree(self._copy)


async def caught_up(standby: Server, primary: Server) -> None:
    """Wait until a standby shows all that its primary has."""
    # Its commit flushes what the primary may have written without: a standby gets no more than is on disk.
    await execute(primary.dsn(), "SELECT pg_logical_emit_message(true, 'test', '')")
    lsn = await value(primary.dsn(), "SELECT pg_current_wal_flush_lsn()::text")
    async with connect("The standby", standby.dsn()) as connection:
        await until_there_is(connection, f"SELECT WHERE pg_last_wal_replay_lsn() >= '{lsn}'")


async def cut_off(standby: Server) -> None:
    """A standby hears of nothing that happens from now on."""
    await execute(standby.dsn(), "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
    async with connect("The standby", standby.dsn()) as connection:
        await until_there_is(connection, "SELECT WHERE NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")


def fast_folder() -> Path:
    """Where servers of tests have their data: in memory, where there is enough. To make a database is to copy files."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > _ENOUGH_BYTES else Path("/tmp")


@contextmanager
def server_folder() -> Iterator[Path]:
    """A folder below one that every account can enter, as Postgres needs it where this runs as root."""
    path = Path(tempfile.mkdtemp(prefix="totesys-servers-", dir=fast_folder()))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@asynccontextmanager
async def own_server(**settings: str) -> AsyncIterator[Server]:
    """A server with these settings, which ends with the block."""
    with server_folder() as folder:
        server = Server(folder / "source")
        await server.configure(**settings)
        yield server
        server.stop()


def _run(program: str, *arguments: str) -> None:
    account = server_account()
    as_account = {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
    command = [str(find_binaries(account) / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/tmp", **as_account)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr


def _own(*paths: Path) -> None:
    account = server_account()
    for path in paths:
        if account is not None:
            shutil.chown(path, account.uid, account.gid)
