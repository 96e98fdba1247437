"""A service as a process of its own, behind wires on which it can be killed at a moment that has a name."""

import asyncio
import json
import os
import signal
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.faults.wires import Cut, Moment, aws_wire, postgres_wire
from tests.preloaded import service_command
from totesys.log_events import LogEvent
from totesys_cli.local.supervised_process import SupervisedProcess

LONGEST_WAIT = 200.0
GRACE = 60.0
POLL = 0.02


class Replica:
    """One replica of a stage. Its log lines go to a file, its requests over wires that count them."""

    def __init__(self, stage: str, settings: Mapping[str, str], log: Path) -> None:
        self.stage = stage
        self.passed: Counter[Moment] = Counter()
        self._settings = dict(settings)
        self._log = log
        self._armed: tuple[Moment, Callable[[], None]] | None = None
        self._come = asyncio.Event()
        self._dead = False
        self._process: SupervisedProcess | None = None
        self._read = 0
        self._lines: deque[bytes] = deque()

    @asynccontextmanager
    async def wired(self, endpoint_url: str, dsn_setting: str | None) -> AsyncIterator[None]:
        """Behind its wires as long as the block lasts."""
        async with AsyncExitStack() as stack:
            self._settings["AWS_ENDPOINT_URL"] = await stack.enter_async_context(aws_wire(endpoint_url, self._pass))
            if dsn_setting:
                wire = postgres_wire(self._settings[dsn_setting], self._pass)
                self._settings[dsn_setting] = await stack.enter_async_context(wire)
            yield

    async def start(self) -> None:
        """Start it and wait until it has started."""
        self._dead = False
        with self._log.open("ab") as output:
            self._process = await asyncio.to_thread(
                lambda: SupervisedProcess.start(
                    service_command(self.stage), env=self._settings, stdout=output, grace=GRACE
                )
            )
        await self.event(LogEvent.SERVICE_STARTED)

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.stop)

    def _kill(self) -> None:
        self._dead = True
        self._signal(signal.SIGKILL)

    def _terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        for child in _children(self._process.pid):
            os.kill(child, number)

    async def killed_at(self, moment: Moment, cause: Callable[[], Awaitable[None]] | None = None) -> None:
        """Kill it as soon as it comes to that moment, which `cause` brings about; returns when it is dead."""
        await self._at(moment, self._kill, cause)
        await self.stop()

    async def cut_at(self, moment: Moment) -> None:
        """Cut the connection on which it comes to that moment."""
        await self._at(moment, _cut)

    async def stopped_at(self, moment: Moment) -> tuple[int, float]:
        """SIGTERM as soon as it comes to that moment; the exit code, and the seconds until then."""
        await self._at(moment, self._terminate)
        started = time.monotonic()
        assert self._process is not None
        code = await asyncio.to_thread(self._process.wait, LONGEST_WAIT)
        seconds = time.monotonic() - started
        await self.stop()
        return code, seconds

    async def _at(
        self, moment: Moment, action: Callable[[], None], cause: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._come.clear()
        self._armed = (moment, action)
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                if cause is not None:
                    await cause()
                await self._come.wait()
        except TimeoutError:
            raise AssertionError(f"{self.stage} did not come to {moment} within {LONGEST_WAIT:.0f} s") from None
        finally:
            self._armed = None

    async def _pass(self, moment: Moment) -> None:
        self.passed[moment] += 1
        if self._armed is not None and self._armed[0] == moment:
            _, action = self._armed
            self._armed = None
            self._come.set()
            action()
        if self._dead:
            raise Cut

    async def event(self, name: str, **fields: object) -> dict[str, Any]:
        """Wait for the next log line called `name` that has these fields."""
        async with asyncio.timeout(LONGEST_WAIT):
            while True:
                self._read_lines()
                while self._lines:
                    event: dict[str, Any] = json.loads(self._lines.popleft())
                    if event["event"] == name and fields.items() <= event.items():
                        return event
                await asyncio.sleep(POLL)

    def _read_lines(self) -> None:
        with self._log.open("rb") as log:
            log.seek(self._read)
            whole = log.read().rpartition(b"\n")[0]
        self._read += len(whole) + 1 if whole else 0
        self._lines.extend(whole.splitlines())


def _cut() -> None:
    raise Cut


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
