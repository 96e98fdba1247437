"""The newest rows of dimensions, so that a row that is delivered again unchanged is not appended again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from totesys_lakehouse.deleted_keys import Key, deletions_of, key_values
from totesys_lakehouse.iceberg_store import IcebergStore
from totesys_lakehouse.lakehouse_tables import RUN, LakehouseTable

Values = tuple[Any, ...]


@dataclass
class _Newest:
    """What is known of a table: the newest row of each key with its run, and the runs that deleted a key."""

    snapshot: int | None
    rows: dict[Any, tuple[int, Values]]
    deleted: dict[Any, list[int]]

    def is_repeated(self, key: Any, run: int, values: Values) -> bool:
        """Whether a row equals the newest of its key. One that comes again after a deletion counts as new."""
        newest = self.rows.get(key)
        if newest is None or newest[1] != values:
            return False
        return not any(newest[0] <= deletion < run for deletion in self.deleted.get(key, ()))


@dataclass
class KnownRows:
    """The newest row of each key, by table: read from the table, and kept while only this process commits to it."""

    store: IcebergStore
    _tables: dict[str, _Newest] = field(default_factory=dict)

    def forget(self) -> None:
        """Read every table again when it is used next."""
        self._tables.clear()

    def new_rows(self, table: LakehouseTable, rows: pa.Table) -> pa.Table:
        """The rows, in run order, that differ from the newest row of their key before them.

        They count as known from now on. Call `committed` when they are in the table, `forget` when they are not.
        """
        known = self._newest(table)
        keep = []
        for key, run, values in _keyed(table, rows):
            repeated = known.is_repeated(key, run, values)
            keep.append(not repeated)
            if not repeated:
                known.rows[key] = run, values
        return rows.filter(pa.array(keep, pa.bool_()))

    def committed(self, table: LakehouseTable) -> None:
        """Note that the table now holds what `new_rows` returned."""
        self._tables[table.name].snapshot = self.store.snapshot_id(table.name)

    def end(self, table: LakehouseTable, keys: Sequence[Key], run: int) -> None:
        """Note that a run deleted keys of a table."""
        if known := self._tables.get(table.name):
            for key in keys:
                known.deleted.setdefault(key, []).append(run)

    def _newest(self, table: LakehouseTable) -> _Newest:
        known = self._tables.get(table.name)
        if known is None or known.snapshot != self.store.snapshot_id(table.name):
            known = self._tables[table.name] = self._read(table)
        return known

    def _read(self, table: LakehouseTable) -> _Newest:
        names = [*(column.name for column in table.value_columns), RUN]
        rows = self.store.scan(table.name, names, upto=self.store.last_run(table.name)).sort_by(RUN)
        newest = {key: (run, values) for key, run, values in _keyed(table, rows)}
        return _Newest(self.store.snapshot_id(table.name), newest, deletions_of(self.store, table))


def _keyed(table: LakehouseTable, rows: pa.Table) -> Iterator[tuple[Any, int, Values]]:
    """The key, the run and the values of each row."""
    assert table.declared is not None
    columns = [rows[column.name].to_pylist() for column in table.value_columns]
    keys = key_values(table.declared, rows)
    return zip(keys.to_pylist(), rows[RUN].to_pylist(), zip(*columns, strict=True), strict=True)
