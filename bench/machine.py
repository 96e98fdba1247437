"""What a run of the benchmark was made on."""

import os
import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from totesys_cli.local.binaries import find_binaries

_LIBRARIES = ("polars", "pyarrow", "asyncpg", "dlt", "pandas", "connectorx")


class Machine(BaseModel):
    """The machine and the programs on it. `libraries` are the versions of those that are installed."""

    model_config = ConfigDict(frozen=True)

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    postgres: str
    libraries: dict[str, str]


def this_machine() -> Machine:
    """The machine that this runs on. Raises LocalStackError where there is no Postgres."""
    return Machine(
        cpu=_field(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{_distribution()}, Linux {platform.release().partition('-')[0]}",
        python=platform.python_version(),
        postgres=_postgres(),
        libraries=dict(_libraries()),
    )


def _field(file: Path, name: str) -> str | None:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _postgres() -> str:
    program = find_binaries(account=None) / "postgres"
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return answer.stdout.rpartition(" ")[2].strip()


def _libraries() -> list[tuple[str, str]]:
    found = []
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found.append((name, version(name)))
    return found
