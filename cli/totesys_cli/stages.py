"""The three stages, in the order of the data."""

from typing import Final, Literal

Stage = Literal["ingest", "transform", "load"]
STAGES: Final[tuple[Stage, ...]] = ("ingest", "transform", "load")
