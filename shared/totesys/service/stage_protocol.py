"""What a service has to bring: its stage of the pipeline."""

from collections.abc import Mapping
from typing import Protocol, TypeVar

from totesys.lake.store import Lake
from totesys.service.background import Task
from totesys.triggers import Trigger

W = TypeVar("W", bound=Trigger)


class Stage(Protocol[W]):
    """One stage of the pipeline: ingest, transform or load."""

    @property
    def name(self) -> str: ...

    @property
    def lake(self) -> Lake: ...

    @property
    def database(self) -> str | None:
        """What the database of `check` is to the stage, such as `source`; None for a stage without one."""

    @property
    def unprompted(self) -> W | None:
        """What the service does without a message, at its start and when none has come for long; None for nothing."""

    @property
    def background(self) -> Mapping[str, Task]:
        """What goes on for as long as the stage is open, by name; mostly nothing."""

    async def work(self, wakeup: W) -> None:
        """Do all that the wake-up asks for and all that is undone. Raises TransientError or TerminalError."""

    async def check(self) -> None:
        """Ask the database, if the stage has one, whether it answers. Raises TotesysError."""
