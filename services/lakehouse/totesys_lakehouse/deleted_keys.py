"""Which keys are deleted: those that a sweep did not find, and those from which no row was built."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from totesys.arrow import key_texts
from totesys.lake.records import ProcessedManifest
from totesys.table import WarehouseTable
from totesys_lakehouse.iceberg_schema import arrow_schema
from totesys_lakehouse.iceberg_store import IcebergStore
from totesys_lakehouse.lakehouse_tables import DELETION, DELETION_TABLE, RUN, LakehouseTable
from totesys_lakehouse.run_rows import naive_utc

# A key of one integer, or the text of any other.
Key: TypeAlias = int | str


def key_values(table: WarehouseTable, rows: Any) -> pa.Array | pa.ChunkedArray:
    """The key of each row of a table or a batch."""
    if table.has_integer_key:
        return rows[table.only_key].cast(pa.int64())
    return key_texts([rows[name] for name in table.key_names])


def open_deletions(store: IcebergStore, table: LakehouseTable, upto: int) -> dict[Key, int]:
    """The keys of a table that were deleted up to run `upto`, each with the newest run that says so.

    A key that came again has a row of a later run.
    """
    return {key: max(runs) for key, runs in deletions_of(store, table, upto).items()}


def deletions_of(store: IcebergStore, table: LakehouseTable, upto: int | None = None) -> dict[Key, list[int]]:
    """The deleted keys of a table, each with the runs up to `upto` that deleted it."""
    assert table.declared is not None
    name = "id" if table.declared.has_integer_key else "key"
    rows = store.scan(DELETION, ("table_name", name, RUN), upto=store.last_run(DELETION) if upto is None else upto)
    found: dict[Key, list[int]] = {}
    for row in rows.filter(pc.equal(rows["table_name"], table.name)).to_pylist():
        found.setdefault(row[name], []).append(row[RUN])
    return found


def newly_deleted(store: IcebergStore, table: LakehouseTable, gone: "GoneKeys", run: int) -> list[Key]:
    """The gone keys that the table has in rows up to `run`, and that are not deleted already."""
    assert table.declared is not None
    newest: dict[Key, int] = {}
    for batch in store.batches(table.name, (*table.declared.key_names, RUN), upto=run):
        keys = key_values(table.declared, batch)
        are_gone = gone.contain(keys)
        for one, of_run in zip(keys.filter(are_gone).to_pylist(), batch[RUN].filter(are_gone).to_pylist(), strict=True):
            newest[one] = max(of_run, newest.get(one, 0))
    deleted = open_deletions(store, table, run - 1) if newest else {}
    return sorted(key for key, of_run in newest.items() if deleted.get(key, 0) < of_run)


@dataclass(frozen=True)
class GoneKeys:
    """Keys of a table that a run says are gone: those that its sweep did not find, and those that the build left out.

    Each is a table with the columns of `table.keys`; None if the run has none.
    """

    table: WarehouseTable
    found: pa.Table | None
    left_out: pa.Table | None

    def contain(self, keys: pa.Array) -> pa.Array:
        """Whether each key is gone."""
        gone = pa.array([False] * len(keys), pa.bool_())
        if self.found is not None:
            gone = pc.or_(gone, pc.invert(self._are_in(keys, self.found)))
        if self.left_out is not None:
            gone = pc.or_(gone, self._are_in(keys, self.left_out))
        return gone

    def _are_in(self, keys: pa.Array, listed: pa.Table) -> pa.Array:
        if self.table.has_integer_key:
            return in_ranges(keys, listed)
        return pc.is_in(keys, key_values(self.table, listed))


def deletion_rows(table: LakehouseTable, keys: Sequence[Key], manifest: ProcessedManifest) -> pa.Table:
    """Rows for the table of deletions."""
    when = naive_utc(manifest.snapshot_time)
    assert table.declared is not None
    integer = table.declared.has_integer_key
    rows = [
        {"table_name": table.name, "id": key if integer else 0, "key": None if integer else key}
        | {RUN: manifest.run, "snapshot_time": when}
        for key in keys
    ]
    return pa.Table.from_pylist(rows, arrow_schema(DELETION_TABLE))


def in_ranges(keys: pa.Array, ranges: pa.Table) -> pa.Array:
    """Whether each key is in one of the ranges, which do not overlap."""
    if not ranges.num_rows:
        return pa.array([False] * len(keys), pa.bool_())
    ordered = ranges.sort_by("first_key").combine_chunks()
    firsts, lasts = (ordered[name].combine_chunks() for name in ("first_key", "last_key"))
    place = pc.subtract(pc.search_sorted(firsts, keys, side="right").cast(pa.int64()), 1)
    last = lasts.take(pc.max_element_wise(place, 0))
    return pc.and_(pc.greater_equal(place, 0), pc.less_equal(keys, last))
