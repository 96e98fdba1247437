"""Runs commands as one pipe and reports what they used.

A separate program with few imports: Linux counts the memory of a parent into the peak of the process that it starts,
and this parent has about 10 MB, not the whole benchmark. Its argument is the commands as JSON; the last line of its
output is the report.
"""

import json
import os
import signal
import sys
import time


def main() -> None:
    """Run the commands as a pipe; the output of the last one is this program's."""
    started = time.monotonic()
    ended = [os.wait4(pid, 0) for pid in _start(json.loads(sys.argv[1]))]
    seconds = time.monotonic() - started
    # wait4 counts a process with the children that it has waited for.
    usages = [usage for _, _, usage in ended]
    result = {
        "seconds": seconds,
        "cpu_seconds": sum(usage.ru_utime + usage.ru_stime for usage in usages),
        "peak_bytes": sum(usage.ru_maxrss * 1024 for usage in usages),
        "exit_codes": [os.waitstatus_to_exitcode(status) for _, status, _ in ended],
    }
    print(f"\n{json.dumps(result)}")


def _start(commands: list[list[str]]) -> list[int]:
    pids = []
    source = 0
    for command in commands[:-1]:
        next_source, sink = os.pipe()
        pids.append(_spawn(command, source, sink))
        os.close(source)
        os.close(sink)
        source = next_source
    pids.append(_spawn(commands[-1], source, 1))
    os.close(source)
    return pids


def _spawn(command: list[str], source: int, sink: int) -> int:
    standard = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, sink, 1)]
    # Python ignores SIGPIPE, and its children would inherit that: they could not end as members of a pipe do.
    return os.posix_spawnp(command[0], command, os.environ, file_actions=standard, setsigdef=[signal.SIGPIPE])


if __name__ == "__main__":
    main()
