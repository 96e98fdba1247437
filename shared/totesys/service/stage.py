"""What a service has to bring: its stage of the pipeline."""

from typing import Protocol, TypeVar

from totesys.events import Wakeup
from totesys.lake.lake import Lake

W_contra = TypeVar("W_contra", bound=Wakeup, contravariant=True)


class Stage(Protocol[W_contra]):
    """One stage of the pipeline: ingest, transform or load."""

    @property
    def name(self) -> str: ...

    @property
    def lake(self) -> Lake: ...

    async def work(self, wakeup: W_contra) -> None:
        """Do all that the wake-up asks for and all that is undone. Raises TransientError or TerminalError."""

    async def check(self) -> None:
        """Ask the database, if the stage has one, whether it answers. Raises TotesysError."""
