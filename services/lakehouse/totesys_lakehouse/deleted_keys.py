"""Which keys are deleted: those that a sweep did not find, and those from which no row was built."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from totesys.lake.records import ProcessedManifest
from totesys_lakehouse.iceberg_schema import arrow_schema
from totesys_lakehouse.iceberg_store import IcebergStore
from totesys_lakehouse.lakehouse_tables import DELETION, DELETION_TABLE, RUN, LakehouseTable
from totesys_lakehouse.run_rows import naive_utc


def open_deletions(store: IcebergStore, table: str, upto: int) -> dict[int, int]:
    """The keys of a table that were deleted up to run `upto`, each with the newest run that says so.

    A key that came again has a row of a later run.
    """
    return {key: max(runs) for key, runs in deletions_of(store, table, upto).items()}


def deletions_of(store: IcebergStore, table: str, upto: int | None = None) -> dict[int, list[int]]:
    """The deleted keys of a table, each with the runs up to `upto` that deleted it."""
    rows = store.scan(DELETION, ("table_name", "id", RUN), upto=store.last_run(DELETION) if upto is None else upto)
    found: dict[int, list[int]] = {}
    for row in rows.filter(pc.equal(rows["table_name"], table)).to_pylist():
        found.setdefault(row["id"], []).append(row[RUN])
    return found


def newly_deleted(store: IcebergStore, table: LakehouseTable, gone: "GoneKeys", run: int) -> list[int]:
    """The gone keys that the table has in rows up to `run`, and that are not deleted already."""
    assert table.declared is not None
    key = table.declared.key
    newest: dict[int, int] = {}
    for batch in store.batches(table.name, (key, RUN), upto=run):
        found = batch.filter(gone.contain(batch[key].cast(pa.int64())))
        for one, of_run in zip(found[key].to_pylist(), found[RUN].to_pylist(), strict=True):
            newest[one] = max(of_run, newest.get(one, 0))
    deleted = open_deletions(store, table.name, run - 1) if newest else {}
    return sorted(key for key, of_run in newest.items() if deleted.get(key, 0) < of_run)


@dataclass(frozen=True)
class GoneKeys:
    """Keys that a run says are gone: outside the ranges that its sweep found, and inside those that the build left out.

    Each is a table with the columns `first_key` and `last_key`; None if the run has none.
    """

    found: pa.Table | None
    left_out: pa.Table | None

    def contain(self, keys: pa.Array) -> pa.Array:
        """Whether each key is gone."""
        gone = pa.array([False] * len(keys), pa.bool_())
        if self.found is not None:
            gone = pc.or_(gone, pc.invert(in_ranges(keys, self.found)))
        if self.left_out is not None:
            gone = pc.or_(gone, in_ranges(keys, self.left_out))
        return gone


def deletion_rows(table: LakehouseTable, keys: list[int], manifest: ProcessedManifest) -> pa.Table:
    """Rows for the table of deletions."""
    when = naive_utc(manifest.snapshot_time)
    rows = [{"table_name": table.name, "id": key, RUN: manifest.run, "snapshot_time": when} for key in keys]
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
