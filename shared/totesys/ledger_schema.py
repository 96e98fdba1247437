"""The tables of the warehouse's ledger: which runs are in the warehouse, and what each wrote.

This is their one declaration. Load creates, checks and writes them; verification and the command read them.
"""

import re
from dataclasses import dataclass

from totesys.schema import ETL
from totesys.sql import qualified


@dataclass(frozen=True)
class LedgerTable:
    """A table of the ledger. Its columns are SQL, with types as `format_type` prints them.

    `added` are columns of later releases. `of_a_run` means that a row is deleted with its run.
    """

    name: str
    description: str
    key: str
    columns: str
    added: str = ""
    of_a_run: bool = True

    @property
    def qualified(self) -> str:
        """The table's name in SQL."""
        return qualified(ETL, self.name)


def column_types(columns: str) -> dict[str, str]:
    """The type of each column by name, from such a list of columns."""
    pairs = (re.split(" NOT NULL| DEFAULT", column)[0].split(" ", 1) for column in columns.split(", ") if column)
    return dict(pairs)


RUN = LedgerTable(
    "run",
    "The runs in the warehouse; source, position and high_water_mark identify the snapshot",
    key="lake, run",
    columns="lake uuid, run bigint, previous bigint NOT NULL, extraction bigint NOT NULL, complete boolean NOT NULL, "
    "snapshot_time timestamp with time zone NOT NULL, rows_written bigint NOT NULL, "
    "applied_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()",
    added="trigger text, source text, xmin_after bigint, swept boolean, high_water_mark jsonb, position jsonb",
    of_a_run=False,
)
RUN_TABLE = LedgerTable(
    "run_table",
    "What each run wrote; for a fact, the range of its version ids",
    key="lake, run, table_name",
    columns="lake uuid, run bigint, table_name text, rows_read bigint NOT NULL, rows_written bigint NOT NULL, "
    "rows_quarantined bigint NOT NULL, first_record_id bigint, last_record_id bigint",
    added="rows_deleted bigint NOT NULL DEFAULT 0, keys_noted boolean NOT NULL DEFAULT false",
)
DELETION = LedgerTable(
    "deletion",
    "Keys that were missing from a snapshot, until returned_at",
    key="table_name, id, lake, run",
    columns="table_name text, id bigint, lake uuid, run bigint, deleted_at timestamp with time zone NOT NULL, "
    "returned_run bigint, returned_at timestamp with time zone",
    # The text of a key that is not an integer, whose id is a hash.
    added="key text",
)
ORPHAN = LedgerTable(
    "orphan",
    "Fact versions that wait for a dimension row, each with its version id",
    key="table_name, record_id",
    columns="table_name text, record_id bigint, id bigint NOT NULL, lake uuid NOT NULL, run bigint NOT NULL, "
    "reasons text[] NOT NULL, row jsonb NOT NULL",
)
DIMENSION_KEY = LedgerTable(
    "dimension_key",
    "The run that wrote a dimension's keys from first_key to last_key last",
    key="table_name, last_key",
    columns="table_name text, first_key bigint NOT NULL, last_key bigint, lake uuid NOT NULL, run bigint NOT NULL",
)
MIGRATION = LedgerTable(
    "migration",
    "The migrations that this schema has had",
    key="number",
    columns="number integer, applied_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()",
    of_a_run=False,
)
OWNER = LedgerTable(
    "owner",
    "The model and the schema that this ledger belongs to",
    key="schema",
    columns="schema text, model text NOT NULL",
    of_a_run=False,
)

LEDGER_TABLES = (RUN, RUN_TABLE, DELETION, ORPHAN, DIMENSION_KEY, MIGRATION, OWNER)
