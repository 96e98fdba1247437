"""The records of the lake: typed, versioned JSON objects."""

import json
from datetime import datetime
from typing import Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from totesys.errors import CorruptObject, NewerRecord
from totesys.log_position import LogPosition
from totesys.table import Capture
from totesys.transactions import HighWaterMark, OpenTransaction, Position
from totesys.version import VERSION

# The column of a quarantine part with the reasons of each row, a list of text.
REASONS = "reasons"
# The version of the shape of all records. A new field that the previous release can do without changes the second
# number, any other change the first.
SCHEMA_VERSION = "1.4"


class Record(BaseModel):
    """A JSON object of the lake. Unknown fields are ignored: this release can do without them."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RunCounter(Record):
    """`run_number.json`: the id of the lake, and the last assigned run number."""

    version: Literal[1] = 1
    lake: UUID
    last: int


class Part(Record):
    """One object of rows. `crc32` is that of the whole object, in eight hexadecimal digits."""

    key: str
    rows: int
    bytes: int
    crc32: str


class TableParts(Record):
    """A table's rows in a run. `seconds` is the time spent on them."""

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
    """A source table's rows: all of them, or those that changed."""

    mode: Capture


class BuiltTable(TableParts):
    """A warehouse table's rows, with the least and the greatest key if keys are integers."""

    first_key: int | None = None
    last_key: int | None = None


class QuarantinedTable(TableParts):
    """Rows that could not become rows of a warehouse table. `reasons` are their numbers by reason, without values.

    A row may have several reasons. Records of releases before 0.2 have none.
    """

    reasons: dict[str, int] = {}


class TableDefinition(Record):
    """The catalog numbers that a source table's rows are read through.

    `relations` are the table and its partitions, `columns` the number of each declared column, `labels` the id of each
    label of a column's enum, by `column.label`.
    """

    relations: tuple[int, ...]
    columns: dict[str, int]
    labels: dict[str, int]


class RunRecord(Record):
    """The fields of every stage's record of a run.

    `previous` is the newest earlier run with parts (0 for none), which load applies first. `extraction` is the first
    run of the snapshot that this run is a slice of; `complete` marks the last.
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

    `xmin_before` is the transaction where the extraction started, `xmin_after` where the next one starts, which only a
    complete extraction moves. Both are 64-bit ids; None means everything. `high_water_mark` is the whole snapshot.
    `position` is where the source was in its history, `open_transaction` the oldest transaction in progress.

    `keys` are the keys in the snapshot by source table, as parts of ranges with first and last key; only a complete run
    of a deletion sweep has them. `deleted` are, in the same form, keys that the source's log says are gone; `log` is
    how far capture has read that log. `capture` is what named the changed rows; `checks_log` marks a scan that checks
    the log.

    `definitions` are the source tables as the snapshot sees them. `declared` are the warehouse tables that the model
    declared at the extraction, with their columns. `counts` are the numbers of rows of the full-refresh tables in the
    snapshot: a number that changes reveals deleted rows.

    Records of earlier releases lack the fields with defaults.
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
    deleted: dict[str, TableParts] = {}
    log: LogPosition | None = None
    checks_log: bool = False
    capture: Literal["scan", "log"] = "scan"
    definitions: dict[str, TableDefinition] = {}
    declared: dict[str, tuple[str, ...]] | None = None
    counts: dict[str, int] = {}

    @property
    def empty(self) -> bool:
        return not self.tables and not self.keys and not self.deleted

    @property
    def next_start(self) -> HighWaterMark | None:
        """Where the next extraction starts; None for everything."""
        if self.high_water_mark is None and self.xmin_after is not None:
            return HighWaterMark(xmax=self.xmin_after)
        return self.high_water_mark


class ProcessedManifest(RunRecord):
    """Transform's record: the Parquet of a run, and the rows that could not become warehouse rows.

    `trigger`, `source`, `xmin_after`, `high_water_mark` and `position` are those of ingest's record, `keys` too, but by
    warehouse table. `checks_log` is that of ingest's record. `left_out` are the ranges of the keys that the table's
    build function left out, and of those that ingest's record calls deleted.
    """

    trigger: str = ""
    source: str = ""
    xmin_after: int | None = None
    high_water_mark: HighWaterMark | None = None
    position: Position | None = None
    tables: dict[str, BuiltTable]
    quarantine: dict[str, QuarantinedTable]
    keys: dict[str, TableParts] = {}
    left_out: dict[str, TableParts] = {}
    checks_log: bool = False


class LoadedTable(Record):
    """What load did with a table: its rows in the run, the rows written, and a fact's range of version ids.

    `deleted` is how many keys the run's deletion sweep no longer found.
    """

    rows: int
    written: int
    quarantined: int = 0
    deleted: int = 0
    first_record_id: int | None = None
    last_record_id: int | None = None
    seconds: float


class LoadRecord(RunRecord):
    """Load's record. `freshness` is the age of the run's snapshot in seconds when it became visible."""

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
    """The progress of a replay of the runs `first` to `last` in a stage.

    Those up to run `done` are done, `runs` so far. `failure` is why the replay stopped, if it did.
    """

    version: Literal[1] = 1
    first: int
    last: int
    done: int
    runs: int = 0
    finished: bool = False
    failure: Failure | None = None


class WrongRow(Record):
    """A wrong row: its key, what is wrong with it, and the columns that differ."""

    key: str
    verdict: str
    columns: tuple[str, ...]


class VerifiedTable(Record):
    """The numbers of a table's rows by verdict, as `totesys.verify` counts them. `wrong` names some wrong rows."""

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
    """The comparison of the warehouse with the source as of the snapshot of `run`.

    Without a run, `reason` says why the warehouse was compared with the current state of the source.
    """

    version: Literal[1] = 1
    started_at: AwareDatetime
    seconds: float
    run: int | None
    snapshot_time: AwareDatetime | None
    reason: str
    equal: bool
    tables: dict[str, VerifiedTable]


class OpenAlerts(Record):
    """The problems that a service has told people of, and not yet that they ended: the text of each, by problem."""

    open: dict[str, str] = {}


class _Head(Record):
    """The version of a record. Those of the first releases have only `version`."""

    version: int = 1
    schema_version: str = Field(default="1.0", pattern=r"^[0-9]{1,9}\.[0-9]{1,9}$")
    release: str = ""

    @property
    def major(self) -> int:
        return max(self.version, int(self.schema_version.partition(".")[0]))


R = TypeVar("R", bound=Record)


def to_json(record: Record) -> bytes:
    """A record as JSON, with the version of its shape and the release that writes it."""
    head = {"schema_version": SCHEMA_VERSION, "release": VERSION}
    return json.dumps(head | record.model_dump(mode="json"), indent=2).encode()


def parse_record(kind: type[R], key: str, body: bytes) -> R:
    """The record at `key`. Raises CorruptObject if it is damaged, NewerRecord if its shape is newer."""
    try:
        head = _Head.model_validate_json(body)
        if head.major > int(SCHEMA_VERSION.partition(".")[0]):
            newer = f"release {head.release}" if head.release else "a newer release"
            raise NewerRecord(
                f"{key} was written by {newer}, in a shape that release {VERSION} cannot read. "
                f"Run {newer}{' or a later one' if head.release else ''}."
            )
        return kind.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the object"
        raise CorruptObject(
            f"{key} is not a valid {kind.__name__}: {where}: {fault['msg']}. "
            "Restore the object, or run the release that wrote it."
        ) from error
