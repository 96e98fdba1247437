"""What a run of the benchmark gives: its figures, and what they were measured on."""

from pydantic import AwareDatetime, BaseModel, ConfigDict

from bench.machine import Machine
from bench.measurement import Measurement


class Head(BaseModel):
    """When, how much and on what. `durable`: each commit of the databases waits for the disk."""

    model_config = ConfigDict(frozen=True)

    started: AwareDatetime
    size: str
    about: str
    durable: bool
    machine: Machine


class Results(BaseModel):
    """All of a run; `complete` unless it was ended early. `failures` say what failed, and why, in a line each."""

    head: Head
    complete: bool = False
    failures: list[str] = []
    measurements: list[Measurement] = []
