"""What was measured."""

from collections.abc import Callable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Case(StrEnum):
    """What is compared, one table of the results each."""

    FIRST_LOAD = "first load"
    TICK = "tick"
    MEMORY = "memory"
    FRESHNESS = "freshness"
    VERIFY = "verify"
    STAGES = "stages"
    START_AND_IDLE = "start and idle"


class Measurement(BaseModel):
    """One figure of one round.

    `contender` is who did it ("psql pipe", "totesys", "dlt, pyarrow"); `subject` tells the figures of a case apart
    (a service, a stage, "1,000 changed rows"); `quantity` names the figure with its unit ("seconds", "peak MB",
    "rows/s"). `rows` are what it was measured over. `verified`: the warehouse was compared with the source, value by
    value; None where there is none to compare.
    """

    model_config = ConfigDict(frozen=True)

    case: Case
    contender: str
    subject: str
    orders: int
    quantity: str
    value: float
    round: int = 1
    rows: int | None = None
    verified: bool | None = None


Record = Callable[[Measurement], None]
