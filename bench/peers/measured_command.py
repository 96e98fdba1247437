"""Runs peers as processes of their own, and reports what they used."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from totesys_cli.local.supervised_process import SupervisedProcess

LAUNCHER = Path(__file__).with_name("launcher.py")
ROOT = Path(__file__).parents[2]


class CommandFailed(Exception):
    """A command ended with an error."""


@dataclass(frozen=True)
class Usage:
    """What commands used: seconds, CPU time, peak resident memory; and the output of the last one.

    The memory of commands that run at the same time is added up, with about 10 MB at least for each. CPU time includes
    a command's own children; of their memory only the largest process counts. Of a database, only the client counts.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str = ""

    def __add__(self, later: "Usage") -> "Usage":
        """The usage of commands that run one after another."""
        return Usage(
            self.seconds + later.seconds,
            self.cpu_seconds + later.cpu_seconds,
            max(self.peak_bytes, later.peak_bytes),
            self.output + later.output,
        )


@dataclass(frozen=True)
class PeerRun:
    """A peer's run: the seconds and rows that it reports, and the usage of its whole process."""

    seconds: float
    rows: int
    usage: Usage


async def run(
    *commands: Sequence[str | Path], environment: Mapping[str, str] | None = None, exit_code: int = 0
) -> Usage:
    """Run commands as one pipe, with `environment` added to this process's own; they end when this process does.

    Raises CommandFailed with their stderr if one of them ends with another exit code.
    """
    listed = json.dumps([[str(part) for part in command] for command in commands])
    process = SupervisedProcess.start(
        [sys.executable, "-I", "-S", str(LAUNCHER), listed],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        printed, errors = await asyncio.gather(
            asyncio.to_thread(process.stdout.read), asyncio.to_thread(process.stderr.read)
        )
        code = await asyncio.to_thread(process.wait)
    finally:
        # After a cancellation nothing may keep writing where others clean up.
        await asyncio.to_thread(process.stop)
        process.stdout.close()
        process.stderr.close()
    output, _, report = printed.decode().rstrip("\n").rpartition("\n")
    usage = {} if code else json.loads(report)
    if code or set(usage.pop("exit_codes")) != {exit_code}:
        programs = " | ".join(Path(command[0]).name for command in commands)
        raise CommandFailed(f"{programs} failed: {errors.decode(errors='replace').strip()}")
    return Usage(**usage, output=output)


async def run_module(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> PeerRun:
    """Run a module of this repository whose last line of output is JSON with `seconds` and `rows`.

    Raises CommandFailed.
    """
    usage = await run([sys.executable, "-m", module, *arguments], environment=environment)
    reported = json.loads(usage.output.splitlines()[-1])
    return PeerRun(reported["seconds"], reported["rows"], usage)
