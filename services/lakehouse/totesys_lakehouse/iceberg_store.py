"""The Iceberg tables of one namespace: created, evolved, and committed to exactly once. Every call blocks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyarrow as pa
from pyiceberg.catalog import MetastoreCatalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.table import DataScan, Table, Transaction
from pyiceberg.table.update.snapshot import ExpireSnapshots

from totesys_lakehouse import iceberg_schema
from totesys_lakehouse.lakehouse_errors import CommitConflict, LakehouseMismatch, lakehouse_errors
from totesys_lakehouse.lakehouse_tables import LEDGER, RUN, LakehouseTable

# The lake whose runs a table holds; the last run whose rows it has; up to which run its rows are to be restored.
LAKE, LAST_RUN, RESTORE_TO = "totesys.lake", "totesys.run", "totesys.restore-to"
RETRIES = "commit.retry.num-retries"
# Snapshots are kept for queries in progress and for whoever looks back a few commits. Older states are in the rows.
KEPT_SNAPSHOTS, MOST_SNAPSHOTS = 10, 30
PROPERTIES = {
    # A repeated append would write a run's rows twice: PyIceberg rebases it onto whatever was committed meanwhile.
    RETRIES: "0",
    # Each commit adds a manifest; without merging, planning and the next commit become slower with each.
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "30",
    "write.parquet.compression-codec": "zstd",
}


@dataclass
class IcebergStore:
    """The tables of `namespace`. A table is read from the catalog once, and again after anything went wrong.

    Snapshots younger than `keep_snapshots` are not expired by commits: queries in progress read them.
    """

    catalog: MetastoreCatalog
    namespace: str
    keep_snapshots: timedelta = timedelta(hours=1)
    _open: dict[str, Table] = field(default_factory=dict)

    def what(self, name: str) -> str:
        """A table as messages name it."""
        return f"the Iceberg table {self.namespace}.{name}"

    def forget(self) -> None:
        """Read every table again when it is used next."""
        self._open.clear()

    def close(self) -> None:
        """Close the catalog's connections."""
        self.catalog.close()

    def check(self) -> None:
        """Ask the catalog whether it answers. Raises what `lakehouse_errors` does."""
        with lakehouse_errors(f"the namespace {self.namespace}"):
            self.catalog.namespace_exists(self.namespace)

    def require(self, tables: Sequence[LakehouseTable]) -> None:
        """Raise LakehouseMismatch unless all of the tables exist."""
        if self.has_dropped(tables):
            raise LakehouseMismatch(
                f"The catalog's namespace {self.namespace} does not have all Iceberg tables of the model. Name the "
                "catalog and the namespace that the lakehouse service fills, and run that service once."
            )

    def prepare(self, tables: Sequence[LakehouseTable], lake: UUID) -> None:
        """Create what is missing and add what the model has gained.

        A table that is created while the ledger has runs is to be restored up to the newest. Raises LakehouseMismatch
        for a table that is not ours, of another lake, or whose types cannot be changed.
        """
        self.forget()
        # Another writer may be creating it, too.
        with lakehouse_errors(f"the namespace {self.namespace}"), suppress(NamespaceAlreadyExistsError):
            self.catalog.create_namespace_if_not_exists(self.namespace)
        there = {table.name: existing for table in tables if (existing := self._load(table.name)) is not None}
        for name, existing in there.items():
            self._check_ours(name, existing, lake)
        newest = self.last_run(LEDGER) if LEDGER in there else 0
        for table in tables:
            if table.name in there:
                self._evolve(table, there[table.name])
            else:
                self._create(table, lake, 0 if table.name == LEDGER else newest)

    def table(self, name: str) -> Table:
        """An open table. Raises CommitConflict if it does not exist."""
        if name not in self._open:
            with lakehouse_errors(self.what(name)):
                self._open[name] = self.catalog.load_table((self.namespace, name))
        return self._open[name]

    def last_run(self, name: str) -> int:
        """The last run whose rows a table has; 0 if it has none yet."""
        return int(self.table(name).properties.get(LAST_RUN, 0))

    def property(self, name: str, key: str) -> str | None:
        """A property of a table."""
        return self.table(name).properties.get(key)

    def has_dropped(self, tables: Sequence[LakehouseTable]) -> bool:
        """Whether one of the tables does not exist."""
        with lakehouse_errors(f"the namespace {self.namespace}"):
            there = {identifier[-1] for identifier in self.catalog.list_tables(self.namespace)}
        return not there.issuperset(table.name for table in tables)

    def forget_if_changed(self, name: str) -> None:
        """Read every table again if another writer has committed to this one."""
        known = self._open.pop(name, None)
        if known is None or self.table(name).metadata_location != known.metadata_location:
            self.forget()

    def snapshot_id(self, name: str) -> int | None:
        """What identifies the table's rows."""
        return self.table(name).metadata.current_snapshot_id

    def append(self, table: LakehouseTable, rows: pa.Table, run: int, properties: Mapping[str, str] = {}) -> None:
        """Append rows, and note in the same commit that the table has all rows up to `run`.

        Raises CommitConflict if somebody else committed to the table since it was opened: then nothing was written.
        Any other error leaves open whether it was: open the table again and compare `last_run`.
        """
        self._check_retries(table.name)
        with self._transaction(table.name) as transaction:
            if rows.num_rows:
                transaction.append(rows)
            self._expire(transaction)
            transaction.set_properties({**properties, LAST_RUN: str(run)})

    def replace(self, table: LakehouseTable, rows: pa.Table, runs: Sequence[int]) -> None:
        """Put rows in the place of those that the table has of `runs`, in one commit.

        Raises CommitConflict as `append` does.
        """
        self._check_retries(table.name)
        replaced = f"{RUN} in ({', '.join(map(str, runs))})"
        has_rows = self._has_rows(table.name, replaced)
        if not has_rows and not rows.num_rows:
            return
        with self._transaction(table.name) as transaction:
            if not has_rows:
                transaction.append(rows)
            elif rows.num_rows:
                transaction.overwrite(rows, replaced)
            else:
                transaction.delete(replaced)
            self._expire(transaction)
            transaction.set_properties({LAST_RUN: str(max(*runs, self.last_run(table.name)))})

    def rewrite(self, table: LakehouseTable, rows: pa.Table, first: int, last: int) -> None:
        """Put the rows of the runs from `first` to `last`, unchanged, into new files. Raises as `append` does."""
        self._check_retries(table.name)
        with self._transaction(table.name) as transaction:
            transaction.overwrite(rows, f"{RUN} >= {first} and {RUN} <= {last}")

    def expire(self, name: str, before: datetime) -> int:
        """Expire the snapshots of before then, except the current one and those that are named; how many."""
        with self._transaction(name) as transaction:
            return self._expire_older(transaction, before, kept=1)

    def set_properties(self, name: str, changed: Mapping[str, str], removed: Sequence[str] = ()) -> None:
        """Change a table's properties. Raises CommitConflict as `append` does."""
        with self._transaction(name) as transaction:
            if changed:
                transaction.set_properties(dict(changed))
            if removed:
                transaction.remove_properties(*removed)

    def scan(self, name: str, columns: Sequence[str], *, upto: int, after: int = 0) -> pa.Table:
        """Rows of the runs after `after`, up to `upto`."""
        with lakehouse_errors(self.what(name)):
            return self._scan(name, columns, upto, after).to_arrow()

    def batches(self, name: str, columns: Sequence[str], *, upto: int) -> Iterator[pa.RecordBatch]:
        """The same as `scan`, few rows in memory at a time."""
        with lakehouse_errors(self.what(name)):
            yield from self._scan(name, columns, upto, 0).to_arrow_batch_reader()

    def _has_rows(self, name: str, condition: str) -> bool:
        table = self.table(name)
        with lakehouse_errors(self.what(name)):
            return bool(table.scan(condition, selected_fields=(RUN,), limit=1).to_arrow().num_rows)

    def _scan(self, name: str, columns: Sequence[str], upto: int, after: int) -> DataScan:
        return self.table(name).scan(f"{RUN} > {after} and {RUN} <= {upto}", selected_fields=tuple(columns))

    @contextmanager
    def _transaction(self, name: str) -> Iterator[Transaction]:
        """A transaction that is committed after the block. After an error every table is read again."""
        try:
            table = self.table(name)
            with lakehouse_errors(self.what(name)):
                transaction = table.transaction()
                yield transaction
                transaction.commit_transaction()
        except BaseException:
            self.forget()
            raise

    def _check_retries(self, name: str) -> None:
        if self.property(name, RETRIES) != "0":
            self.set_properties(name, {RETRIES: "0"})

    def _expire(self, transaction: Transaction) -> None:
        if len(transaction.table_metadata.snapshots) > MOST_SNAPSHOTS:
            self._expire_older(transaction, datetime.now(UTC) - self.keep_snapshots, KEPT_SNAPSHOTS)

    def _expire_older(self, transaction: Transaction, before: datetime, kept: int) -> int:
        snapshots = sorted(transaction.table_metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0)
        named = {ref.snapshot_id for ref in transaction.table_metadata.refs.values()}
        old = [
            snapshot.snapshot_id
            for snapshot in snapshots[:-kept]
            if snapshot.snapshot_id not in named and snapshot.timestamp_ms < before.timestamp() * 1000
        ]
        if old:
            ExpireSnapshots(transaction).by_ids(old).commit()
        return len(old)

    def _named(self, name: str) -> str:
        """A table as a sentence begins with it."""
        return f"T{self.what(name)[1:]}"

    def _load(self, name: str) -> Table | None:
        with lakehouse_errors(self.what(name)):
            try:
                self._open[name] = self.catalog.load_table((self.namespace, name))
            except NoSuchTableError:
                return None
        return self._open[name]

    def _create(self, table: LakehouseTable, lake: UUID, restore_to: int) -> None:
        properties = {**PROPERTIES, LAKE: str(lake), LAST_RUN: "0", "comment": table.description}
        if restore_to:
            properties[RESTORE_TO] = str(restore_to)
        with lakehouse_errors(self.what(table.name)):
            try:
                created = self.catalog.create_table(
                    (self.namespace, table.name), iceberg_schema.iceberg_schema(table), properties=properties
                )
            except TableAlreadyExistsError as error:
                raise CommitConflict(f"{self.what(table.name)} was just created by another writer.") from error
        self._open[table.name] = created

    def _check_ours(self, name: str, existing: Table, lake: UUID) -> None:
        of = existing.properties.get(LAKE)
        if of is None:
            raise LakehouseMismatch(
                f"{self._named(name)} was not created by totesys. Nothing was written to it. Rename it, or "
                "set TOTESYS_LAKEHOUSE_NAMESPACE to another namespace."
            )
        if of != str(lake):
            raise LakehouseMismatch(
                f"{self._named(name)} holds the runs of lake {of}, and this is lake {lake}. Nothing was "
                "written. Drop the lakehouse's tables, or set TOTESYS_LAKEHOUSE_NAMESPACE to another namespace."
            )

    def _evolve(self, table: LakehouseTable, existing: Table) -> None:
        if wrong := iceberg_schema.incompatible_columns(table, existing):
            raise LakehouseMismatch(
                f"{self._named(table.name)} is not what the model declares: {'; '.join(wrong)}. Nothing was "
                "written. Drop the table; the lakehouse creates it again with all of its rows."
            )
        gained = iceberg_schema.missing_columns(table, existing)
        widened = iceberg_schema.widened_columns(table, existing)
        optional = iceberg_schema.undeclared_required_columns(table, existing)
        if gained or widened or optional:
            with self._transaction(table.name) as transaction, transaction.update_schema() as update:
                for column in table.columns:
                    if column.name in gained:
                        kind = iceberg_schema.iceberg_type(column.type)
                        update.add_column(column.name, kind, doc=column.description or None)
                for name, kind in widened.items():
                    update.update_column(name, field_type=kind)
                for name in optional:
                    update.make_column_optional(name)
        wanted = {key: value for key, value in PROPERTIES.items() if existing.properties.get(key) != value}
        if wanted:
            self.set_properties(table.name, wanted)
