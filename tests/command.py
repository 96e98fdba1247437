"""The command `totesys` as users call it, and the companies that it is called for."""

import os
import select
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg

from tests.preloaded import cli_command
from totesys.connection import connect
from totesys.model import MODEL
from totesys.schema import sorted_by_references
from totesys.sql import ident, literal
from totesys_cli.local.reachable import ReachablePostgres
from totesys_cli.source_database import create_source
from totesys_simulation import fill

# The company's real extract, where it is at hand; else one of the same size is generated.
EXTRACT = Path(os.environ.get("TOTESYS_EXTRACT") or Path(__file__).parents[2] / "shared" / "totesys")
HAS_EXTRACT = EXTRACT.is_dir()
# Each of these characters means something in a DSN.
PASSWORD = "s3cr:t/@#?%41 word"
LONGEST_WAIT = 120.0

_numbers = count(1)


@dataclass(frozen=True)
class Ended:
    """What a call has left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """All that was printed, whatever its line breaks."""
        return " ".join(f"{self.out} {self.err}".split())


class Command:
    """`totesys`, with a temporary folder of its own by which all that belongs to its calls is found."""

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        """A `fresh` one starts Python anew for each call, as users do; else each call is forked, preloaded."""
        self._program = [str(Path(sysconfig.get_path("scripts")) / "totesys")] if fresh else cli_command()
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        # What its calls see of TOTESYS_ settings: nothing but these.
        self.settings: dict[str, str] = {}

    @classmethod
    @contextmanager
    def that_leaves_nothing(cls, folder: Path, *, fresh: bool = False) -> Iterator["Command"]:
        """The command; asserts at the end that no process and no temporary file of its calls is left."""
        command = cls(folder, fresh=fresh)
        yield command
        command.wait_until_gone()
        assert not list(command.temporary.iterdir())

    def __call__(self, *arguments: str, answer: str = "") -> Ended:
        """Call it, answer what it asks, and wait for its end."""
        with self.started(*arguments) as process:
            out, err = process.communicate(answer, timeout=2 * LONGEST_WAIT)
        return Ended(process.returncode, out, err)

    @contextmanager
    def started(self, *arguments: str, stdin: int = subprocess.PIPE) -> Iterator["subprocess.Popen[str]"]:
        """Call it; killed at the end, if it still runs."""
        settings = {name: value for name, value in os.environ.items() if not name.startswith("TOTESYS_")}
        with subprocess.Popen(
            [*self._program, *arguments],
            env={**settings, **self.settings, "TMPDIR": str(self.temporary), "COLUMNS": "160"},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def processes(self) -> set[int]:
        """All processes of its calls, whoever their parents are."""
        mark = f"={self.temporary}".encode()
        return {
            int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and mark in _seen_by(entry)
        }

    def wait_until_gone(self) -> None:
        """Wait until no process of its calls is left."""
        while running := self.processes():
            for pid in running:
                _wait_for_end(pid)


def _seen_by(process: Path) -> bytes:
    """A process' environment; that of an ended one is empty."""
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def _wait_for_end(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], LONGEST_WAIT)[0], f"process {pid} goes on"
    finally:
        os.close(descriptor)


def line_with(process: "subprocess.Popen[str]", words: str) -> str:
    """Wait for the next line of its output that holds `words`."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"it ended without {words!r}")


def eventually(condition: Callable[[], object]) -> None:
    """Wait for what nothing announces."""
    deadline = time.monotonic() + LONGEST_WAIT
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


@dataclass(frozen=True)
class Company:
    """A filled source and an empty warehouse.

    `source` and `warehouse` are what the command gets: a role that may only SELECT, and one that may only CREATE.
    """

    source: str
    warehouse: str
    source_owner: str
    warehouse_owner: str

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("--source", self.source, "--warehouse", self.warehouse)


class Companies:
    """Makes companies whose sources are copies of one database; they are gone with the server."""

    def __init__(self, postgres: ReachablePostgres, template: str, role: str) -> None:
        self._postgres = postgres
        self._template = template
        self._role = role

    @classmethod
    async def of(cls, postgres: ReachablePostgres, *, scale: float | None = None) -> "Companies":
        """Of the real extract, or of what is generated at this scale (None: at full scale, without an extract)."""
        number = next(_numbers)
        template, role = f"company_{number}", f"role_of_company_{number}"
        async with connect("The source", postgres.create_database(template)) as connection:
            if scale is None and HAS_EXTRACT:
                await load_extract(connection)
            else:
                await create_source(connection, MODEL)
                await fill(connection, seed=20261122, scale=scale or 1)
            for suffix in ("reader", "writer"):
                await connection.execute(f"CREATE ROLE {role}_{suffix} LOGIN PASSWORD {literal(PASSWORD)}")
            await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}_reader")
        return cls(postgres, template, role)

    async def make(self) -> Company:
        """A company of its own."""
        number = next(_numbers)
        source, warehouse = f"source_{number}", f"warehouse_{number}"
        async with connect("The server", self._postgres.dsn()) as connection:
            await connection.execute(f"CREATE DATABASE {source} TEMPLATE {self._template} STRATEGY FILE_COPY")
            await connection.execute(f"CREATE DATABASE {warehouse}")
            await connection.execute(f"GRANT CREATE ON DATABASE {warehouse} TO {self._role}_writer")
        return Company(
            source=as_role(self._postgres.dsn(source), f"{self._role}_reader"),
            warehouse=as_role(self._postgres.dsn(warehouse), f"{self._role}_writer"),
            source_owner=self._postgres.dsn(source),
            warehouse_owner=self._postgres.dsn(warehouse),
        )


def as_role(dsn: str, role: str, password: str = PASSWORD) -> str:
    """The same database, for another role."""
    parts = urlsplit(dsn)
    return parts._replace(netloc=f"{role}:{quote(password, safe='')}@{parts.hostname}:{parts.port}").geturl()


async def load_extract(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """The real source's tables and rows, with sequences that go on after them."""
    await connection.execute((EXTRACT / "schema.sql").read_text())
    for table in sorted_by_references(MODEL.sources):
        with (EXTRACT / f"{table.name}.csv").open("rb") as file:
            await connection.copy_to_table(table.name, source=file, format="csv", header=True)
        last = f"SELECT max({ident(table.only_key)}) FROM {ident(table.name)}"
        await connection.execute(f"SELECT setval(pg_get_serial_sequence($1, $2), ({last}))", table.name, table.only_key)


async def rows(dsn: str, query: str, *parameters: object) -> list[asyncpg.Record]:
    """What a database answers."""
    async with connect("The database", dsn) as connection:
        return await connection.fetch(query, *parameters)
