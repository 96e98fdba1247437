"""The machine that a run of the benchmark was made on."""

import os
import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from totesys_cli.local.binaries import find_binaries

_LIBRARIES = ("polars", "pyarrow", "asyncpg", "dlt", "pandas", "connectorx", "sling-linux-amd64")


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
    """The machine that this runs on. Raises LocalStackError without Postgres."""
    distribution = platform.system()
    with suppress(OSError, KeyError):
        distribution = platform.freedesktop_os_release()["PRETTY_NAME"]
    libraries = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            libraries[name] = version(name)
    postgres = [str(find_binaries(account=None) / "postgres"), "--version"]
    models = (line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return Machine(
        cpu=next(models, platform.machine()).rpartition(":")[2].strip(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{distribution}, Linux {platform.release().partition('-')[0]}",
        python=platform.python_version(),
        postgres=subprocess.run(postgres, capture_output=True, text=True, check=True).stdout.rpartition(" ")[2].strip(),
        libraries=libraries,
    )
