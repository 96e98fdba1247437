"""The bare limit: psql out of the source, psql into the warehouse, nothing in between."""

import time

from bench.peers.process import Usage, run
from bench.peers.tables import SCHEMA, TABLES, create_tables, select, source_of
from totesys.connection import connect
from totesys.session import SESSION
from totesys.sql import column_list, qualified
from totesys.table import WarehouseTable
from totesys_cli.local.binaries import find_binaries

SOURCE_SCHEMA = "public"
# What COPY does unless told otherwise, and what spares printing each number and reading it again.
TEXT, BINARY = "text", "binary"
# A scan reads the table, by one process: an index would answer count(*) from fewer pages.
ONE_SCAN = {
    "max_parallel_workers_per_gather": "0",
    "enable_indexonlyscan": "off",
    "enable_indexscan": "off",
    "enable_bitmapscan": "off",
}


async def load(source: str, warehouse: str, form: str = TEXT) -> Usage:
    """Fill the warehouse's tables, one after another, in a database that has none; `form` is a format of COPY.

    Raises CommandFailed with what psql says.
    """
    await create_tables(warehouse)
    total = Usage(0, 0, 0)
    for table in TABLES:
        target = f"{qualified(SCHEMA, table.name)} ({column_list(table.column_names)})"
        copy_in = f"COPY {target} FROM STDIN (FORMAT {form})"
        total += await run(_psql(source, _copy_out(table, form)), _psql(warehouse, copy_in), environment=_session())
    return total


async def scan(source: str) -> float:
    """The seconds of one sequential scan of each of the source tables, over one connection."""
    async with connect("The source", source, **ONE_SCAN) as connection:
        started = time.perf_counter()
        for table in TABLES:
            await connection.fetchval(f"SELECT count(*) FROM {qualified(SOURCE_SCHEMA, source_of(table).name)}")
        return time.perf_counter() - started


def _copy_out(table: WarehouseTable, form: str) -> str:
    return f"COPY ({select(table, SOURCE_SCHEMA)}) TO STDOUT (FORMAT {form})"


def _psql(dsn: str, command: str) -> list[str]:
    # Only a server must be fit for another account; psql is run by this one.
    program = str(find_binaries(account=None) / "psql")
    return [program, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--command={command}", dsn]


def _session() -> dict[str, str]:
    """The services' session settings, as psql takes them."""
    settings = {name: value.replace(" ", "\\ ") for name, value in SESSION.items()}
    return {"PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in settings.items())}
