"""Postgres' own client: the least that can move rows."""

import asyncio
import subprocess

from totesys_cli.local.binaries import find_binaries


async def psql(dsn: str, command: str) -> None:
    """Run one command and throw its output away. Raises subprocess.CalledProcessError with what psql says."""
    # Only a server must be fit for another account; psql is run by this one.
    program = find_binaries(account=None) / "psql"
    process = await asyncio.create_subprocess_exec(
        program,
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        f"--command={command}",
        dsn,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "psql", stderr=errors.decode())
