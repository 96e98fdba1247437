"""What a service provides: its stage of the pipeline."""

from collections.abc import Mapping
from typing import Protocol, TypeVar

from totesys.lake.store import Lake
from totesys.service.background import Task
from totesys.triggers import Trigger

T = TypeVar("T", bound=Trigger)


class Stage(Protocol[T]):
    """One stage of the pipeline: ingest, transform or load."""

    @property
    def name(self) -> str: ...

    @property
    def lake(self) -> Lake: ...

    @property
    def database(self) -> str | None:
        """The role of the stage's database, such as `source`; None for a stage without one."""

    @property
    def default_trigger(self) -> T | None:
        """The trigger that the service works on at start-up and when no message has come for long; None for none."""

    @property
    def background(self) -> Mapping[str, Task]:
        """The tasks that run for as long as the stage is open, by name."""

    async def work(self, trigger: T) -> None:
        """Do what the trigger asks and all that is pending. Raises TransientError or TerminalError."""

    async def check(self) -> None:
        """Check that the stage's database answers, if it has one. Raises TotesysError."""
