"""The CPU time and memory of processes, as Linux counts them: see proc(5)."""

import os
import time
from pathlib import Path

import psutil

from totesys.stage_names import STAGES

_TICKS = os.sysconf("SC_CLK_TCK")
_START_TIME = 22  # the field of /proc/<pid>/stat, counted from 1


def descendant_running(module: str) -> int:
    """The id of the one descendant that was started as `python -m module`. Raises LookupError unless there is one."""
    found = [process.pid for process in psutil.Process().children(recursive=True) if _runs(process, module)]
    if len(found) != 1:
        raise LookupError(f"{len(found)} processes run {module} instead of one.")
    pid: int = found[0]
    return pid


def service_pids() -> dict[str, int]:
    """The process id of each running service. Raises LookupError."""
    return {stage: descendant_running(f"totesys_{stage}") for stage in STAGES}


def cpu_seconds(pid: int) -> float:
    """The CPU time so far of a process and all its descendants, including those that have ended."""
    process = psutil.Process(pid)
    # Parents last: a child that ends in between is then counted by its parent.
    return sum(_cpu(member) for member in (*reversed(process.children(recursive=True)), process))


def peak_bytes(pid: int) -> int:
    """The peak of a process's resident memory so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"Linux has no memory peak of the process {pid}.")


def started_at(pid: int) -> float:
    """The start of a process, as `time.time` counts, to within 10 ms."""
    # The name, in parentheses, can contain spaces.
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
