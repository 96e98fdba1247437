"""Measurements, and the names of cases and contenders."""

from collections.abc import Callable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

TOTESYS = "totesys"
PIPE = "psql pipe"
BINARY_PIPE = "psql pipe, binary"
SCAN = "one scan"
COUNT = "count by scan"
PRINT = "every row as text"
# dlt with its defaults, and tuned as `bench.peers.dlt_pipeline` describes.
DLT = "dlt, pyarrow"
DLT_TUNED = {"pyarrow": "dlt, pyarrow, tuned", "connectorx": "dlt, connectorx, tuned"}
PGCOPYDB, SLING = "pgcopydb", "sling"
# Prefix of the limit of a step: the least work that could do it.
LIMIT = "limit: "
# A load's output: the source's rows unchanged, the warehouse's tables, or both in turn.
RAW, STAR, RAW_AND_STAR = "raw copy", "star", "raw copy, then star"
# The scope of a verification.
BOTH_SIDES, EQUAL, DIFFERENT = "both sides", "all equal", "a wrong, a missing and an extra row"
# MB are 1,000,000 bytes.
MB = 1_000_000


class Case(StrEnum):
    """A comparison; each case has a section in the results."""

    FIRST_LOAD = "first load"
    TICK = "tick"
    MEMORY = "memory"
    FRESHNESS = "freshness"
    VERIFY = "verify"
    STAGES = "stages"
    START_AND_IDLE = "start and idle"


class Measurement(BaseModel):
    """One figure of one round.

    `contender` produced it ("psql pipe", "totesys"); `subject` distinguishes the figures of a case (a service, a step,
    "1,000 changed rows"); `quantity` is its name with the unit ("seconds", "rows/s"). `rows` is the number of rows it
    was measured over. `verified` is whether the warehouse equals the source; None if there was nothing to compare.
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
