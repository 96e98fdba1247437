"""What processes of this machine have used, as Linux counts it: see proc(5)."""

import os
import time
from pathlib import Path

import psutil

from totesys_cli.options import STAGES

_TICKS = os.sysconf("SC_CLK_TCK")
_START_TIME = 22  # the field of /proc/<pid>/stat, counted from 1


def descendant_running(module: str) -> int:
    """The process id of the one descendant of this process that was started as `python -m module`.

    Raises LookupError if there is none, or more than one.
    """
    found = [process.pid for process in psutil.Process().children(recursive=True) if _runs(process, module)]
    if len(found) != 1:
        raise LookupError(f"{len(found)} processes run {module}, where one should.")
    pid: int = found[0]
    return pid


def service_pids() -> dict[str, int]:
    """The process id of each running service. Raises LookupError."""
    return {stage: descendant_running(f"totesys_{stage}") for stage in STAGES}


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and of all its descendants until now, those that have ended included."""
    process = psutil.Process(pid)
    # Parents last: the time of one that has just ended is then its parent's.
    return sum(_cpu(member) for member in (*reversed(process.children(recursive=True)), process))


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had resident until now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"Linux tells no peak of the process {pid}.")


def started_at(pid: int) -> float:
    """When a process was started, as `time.time` counts; good to 10 ms."""
    # The name, in parentheses, may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_START_TIME - 3]) / _TICKS
    return time.time() - age


def _runs(process: psutil.Process, module: str) -> bool:
    try:
        arguments = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    return ["-m", module] in [arguments[place : place + 2] for place in range(len(arguments))]


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
