"""What the lake says of a run: typed, versioned JSON."""

import json
from datetime import datetime
from typing import Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from totesys.errors import CorruptObject, NewerRecord
from totesys.table import Capture
from totesys.transactions import HighWaterMark, OpenTransaction, Position
from totesys.version import VERSION

# The column of a quarantine part that says why each row is there: a list of text.
REASONS = "reasons"


# Of the shape of all records: the second number changes with a field that the release before can do without, the first
# with one that it cannot.
SCHEMA_VERSION = "1.3"


class Record(BaseModel):
    """A JSON object of the lake. A field that this release does not know is one that it can do without."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RunCounter(Record):
    """`run_number.json`: which lake this is, and the last run number given out."""

    version: Literal[1] = 1
    lake: UUID
    last: int


class Part(Record):
    """One object of rows. `crc32` is of the whole object, eight hexadecimal digits."""

    key: str
    rows: int
    bytes: int
    crc32: str


class TableParts(Record):
    """A table's rows in a run. `seconds` is the work spent on it."""

    columns: tuple[str, ...]
    parts: tuple[Part, ...]
    seconds: float

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)


class ExtractedTable(TableParts):
    """A source table's rows, all of them or those that changed."""

    mode: Capture


class BuiltTable(TableParts):
    """A warehouse table's rows. The keys are the least and the greatest, where keys are integers."""

    first_key: int | None = None
    last_key: int | None = None


class QuarantinedTable(TableParts):
    """Rows that could not become rows of a warehouse table. `reasons` are their numbers by reason, without values.

    A row may have several reasons. Records of releases before 0.2 have none.
    """

    reasons: dict[str, int] = {}


class TableDefinition(Record):
    """What a source table's rows are read through: numbers of its catalog.

    The relations that make it up, it and its partitions; the number of each declared column; the id of each label of a
    column's enum, by `column.label`.
    """

    relations: tuple[int, ...]
    columns: dict[str, int]
    labels: dict[str, int]


class RunRecord(Record):
    """What every stage's record of a run says.

    `previous` is the newest earlier run that has parts (0: none): load applies a run after that one.
    `extraction` is the first run of the snapshot that this run is a slice of; `complete` marks the last.
    """

    version: Literal[1] = 1
    lake: UUID
    run: int
    previous: int
    extraction: int
    complete: bool
    snapshot_time: AwareDatetime
    finished_at: AwareDatetime
    seconds: float


class Manifest(RunRecord):
    """Ingest's record: the commit of a run.

    `xmin_before` is where the extraction started (None: everything); `xmin_after` is where the next one
    starts (None: everything), which only a complete extraction moves. Both are 64-bit transaction ids, of which
    `high_water_mark` says more; a record of before it has none. `position` is where in its history the source was, and
    `open_transaction` the oldest one that the snapshot did not see.

    `keys` are, by source table, the keys that the snapshot has: parts of ranges, first and last key of each. Only a
    complete run has them, and only one that swept the source.

    `definitions` are the source tables as the snapshot sees them; a record of before they were told has none.

    `declared` are the warehouse tables that the model declared when the run was extracted, each with its columns; None
    in a record of before they were told.
    """

    trigger: str
    source: str
    xmin_before: int | None
    xmin_after: int | None
    high_water_mark: HighWaterMark | None = None
    position: Position | None = None
    open_transaction: OpenTransaction | None = None
    tables: dict[str, ExtractedTable]
    keys: dict[str, TableParts] = {}
    definitions: dict[str, TableDefinition] = {}
    declared: dict[str, tuple[str, ...]] | None = None

    @property
    def empty(self) -> bool:
        return not self.tables and not self.keys

    @property
    def next_start(self) -> HighWaterMark | None:
        """Where the next extraction starts; None: with everything."""
        if self.high_water_mark is None and self.xmin_after is not None:
            return HighWaterMark(xmax=self.xmin_after)
        return self.high_water_mark


class ProcessedManifest(RunRecord):
    """Transform's record: the Parquet of a run, and the rows that could not become warehouse rows.

    `trigger`, `source`, `xmin_after`, `high_water_mark`, `position` and `keys` are the manifest's, `keys` by warehouse
    table.
    """

    trigger: str = ""
    source: str = ""
    xmin_after: int | None = None
    high_water_mark: HighWaterMark | None = None
    position: Position | None = None
    tables: dict[str, BuiltTable]
    quarantine: dict[str, QuarantinedTable]
    keys: dict[str, TableParts] = {}


class LoadedTable(Record):
    """What load did with a table: rows in the run, rows written, and the range of record ids of a fact.

    `deleted` are the ids that the run's sweep did not find any more.
    """

    rows: int
    written: int
    quarantined: int = 0
    deleted: int = 0
    first_record_id: int | None = None
    last_record_id: int | None = None
    seconds: float


class LoadRecord(RunRecord):
    """Load's record. `freshness` is the age of the run's snapshot, in seconds, when it became visible."""

    tables: dict[str, LoadedTable]
    freshness: float


class Failure(Record):
    """A stage's last failure on a run."""

    version: Literal[1] = 1
    run: int
    stage: str
    title: str
    detail: str
    transient: bool
    failed_at: datetime


class ReplayRecord(Record):
    """How far a stage is with the runs `first` to `last`, which it was asked to do again.

    All of them up to run `done` are done, `runs` so far. `failure` is why it did not go on, if it did not.
    """

    version: Literal[1] = 1
    first: int
    last: int
    done: int
    runs: int = 0
    finished: bool = False
    failure: Failure | None = None


class WrongRow(Record):
    """A row that is not as it should be: its key, what is wrong with it, and the columns that differ."""

    key: str
    verdict: str
    columns: tuple[str, ...]


class VerifiedTable(Record):
    """A table's rows, counted as `totesys.verify` counts them. `wrong` names some of those that are not equal."""

    compared: int
    equal: int
    differing: int
    missing: int
    extra: int
    quarantined: int
    changed_since: int
    deleted_since: int
    wrong: tuple[WrongRow, ...]

    @property
    def is_equal(self) -> bool:
        return self.equal == self.compared


class VerificationRecord(Record):
    """A comparison of the warehouse with the source, as of the snapshot of `run`.

    Without a run, `reason` says why it was compared with the source as it was just then.
    """

    version: Literal[1] = 1
    started_at: AwareDatetime
    seconds: float
    run: int | None
    snapshot_time: AwareDatetime | None
    reason: str
    equal: bool
    tables: dict[str, VerifiedTable]


class _Head(Record):
    """What every record says of itself. Those of the first releases have only the first number of their version."""

    version: int = 1
    schema_version: str = Field(default="1.0", pattern=r"^[0-9]{1,9}\.[0-9]{1,9}$")
    release: str = ""

    @property
    def major(self) -> int:
        return max(self.version, int(self.schema_version.partition(".")[0]))


R = TypeVar("R", bound=Record)


def to_json(record: Record) -> bytes:
    """A record as it is written, with the version of its shape and the release that writes it."""
    head = {"schema_version": SCHEMA_VERSION, "release": VERSION}
    return json.dumps(head | record.model_dump(mode="json"), indent=2).encode()


def parse_record(kind: type[R], key: str, body: bytes) -> R:
    """The record at `key`. Raises CorruptObject for one that is broken, NewerRecord for one of a newer shape."""
    try:
        head = _Head.model_validate_json(body)
        if head.major > int(SCHEMA_VERSION.partition(".")[0]):
            newer = f"release {head.release}" if head.release else "a newer release"
            raise NewerRecord(
                f"{key} was written by {newer}, in a shape that release {VERSION} does not read. "
                f"Run {newer}{' or a later one' if head.release else ''}."
            )
        return kind.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the whole"
        raise CorruptObject(
            f"{key} is no {kind.__name__} of version 1: {where}: {fault['msg']}. "
            "Restore the object, or run the release that wrote it."
        ) from error
