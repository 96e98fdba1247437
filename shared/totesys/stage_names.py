"""The three stages of the pipeline, in the order of the data: declared here only."""

from typing import Final, Literal

Stage = Literal["ingest", "transform", "load"]
STAGES: Final[tuple[Stage, ...]] = ("ingest", "transform", "load")
