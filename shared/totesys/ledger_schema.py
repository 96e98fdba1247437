"""The tables of the warehouse's ledger: which runs are in the warehouse, and what each wrote.

This is their one declaration. Load creates, checks and writes them; verification and the command read them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from totesys.schema import ETL
from totesys.sql import qualified

_NUMBER, _COUNT, _TIME = "bigint", "bigint NOT NULL", "timestamp with time zone"
_RUN_KEY = {"lake": "uuid", "run": _NUMBER}
_OF_A_RUN = {"lake": "uuid NOT NULL", "run": _COUNT}


@dataclass(frozen=True)
class LedgerTable:
    """A table of the ledger: its columns as SQL, by name, and those that later releases added.

    Types are written as `format_type` prints them. `of_a_run` means that rows are deleted with their run.
    """

    name: str
    description: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    added: Mapping[str, str] = field(default_factory=dict)
    of_a_run: bool = True

    @property
    def qualified(self) -> str:
        """The table's name in SQL."""
        return qualified(ETL, self.name)


RUN = LedgerTable(
    "run",
    "The runs in the warehouse; source, position and high_water_mark identify the snapshot",
    key=("lake", "run"),
    columns={
        **_RUN_KEY,
        **dict.fromkeys(("previous", "extraction"), _COUNT),
        "complete": "boolean NOT NULL",
        "snapshot_time": f"{_TIME} NOT NULL",
        "rows_written": _COUNT,
        "applied_at": f"{_TIME} NOT NULL DEFAULT clock_timestamp()",
    },
    added={
        **dict.fromkeys(("trigger", "source"), "text"),
        "xmin_after": _NUMBER,
        "swept": "boolean",
        **dict.fromkeys(("high_water_mark", "position"), "jsonb"),
    },
    of_a_run=False,
)
RUN_TABLE = LedgerTable(
    "run_table",
    "What each run wrote; for a fact, the range of its version ids",
    key=("lake", "run", "table_name"),
    columns={
        **_RUN_KEY,
        "table_name": "text",
        **dict.fromkeys(("rows_read", "rows_written", "rows_quarantined"), _COUNT),
        **dict.fromkeys(("first_record_id", "last_record_id"), _NUMBER),
    },
    added={"rows_deleted": f"{_COUNT} DEFAULT 0", "keys_noted": "boolean NOT NULL DEFAULT false"},
)
DELETION = LedgerTable(
    "deletion",
    "Keys that were missing from a snapshot, until returned_at",
    key=("table_name", "id", "lake", "run"),
    columns={
        "table_name": "text",
        "id": _NUMBER,
        **_RUN_KEY,
        "deleted_at": f"{_TIME} NOT NULL",
        "returned_run": _NUMBER,
        "returned_at": _TIME,
    },
)
ORPHAN = LedgerTable(
    "orphan",
    "Fact versions that wait for a dimension row, each with its version id",
    key=("table_name", "record_id"),
    columns={
        "table_name": "text",
        "record_id": _NUMBER,
        "id": _COUNT,
        **_OF_A_RUN,
        "reasons": "text[] NOT NULL",
        "row": "jsonb NOT NULL",
    },
)
DIMENSION_KEY = LedgerTable(
    "dimension_key",
    "The run that wrote a dimension's keys from first_key to last_key last",
    key=("table_name", "last_key"),
    columns={"table_name": "text", "first_key": _COUNT, "last_key": _NUMBER, **_OF_A_RUN},
)
MIGRATION = LedgerTable(
    "migration",
    "The migrations that this schema has had",
    key=("number",),
    columns={"number": "integer", "applied_at": f"{_TIME} NOT NULL DEFAULT clock_timestamp()"},
    of_a_run=False,
)

LEDGER_TABLES = (RUN, RUN_TABLE, DELETION, ORPHAN, DIMENSION_KEY, MIGRATION)
