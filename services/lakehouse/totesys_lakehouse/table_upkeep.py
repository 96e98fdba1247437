"""Keeps Iceberg tables small and quick: joins small files, expires snapshots, removes files that nothing refers to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pyarrow.fs
from pyiceberg.conversions import from_bytes
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table
from pyiceberg.types import LongType

from totesys_lakehouse.iceberg_store import IcebergStore
from totesys_lakehouse.lakehouse_errors import lakehouse_errors
from totesys_lakehouse.lakehouse_tables import RUN, LakehouseTable

MIB = 1024 * 1024
# Files below this are joined, until the joined one has this size. Reading it needs some ten times as much memory.
SMALL_BYTES = 32 * MIB
# Joining fewer files than this costs more than it saves.
FEWEST_FILES = 8


@dataclass(frozen=True)
class UpkeepRules:
    """How long snapshots are kept, and how old a file must be before it can be one that nothing refers to."""

    keep_snapshots: timedelta = timedelta(days=1)
    remove_files_after: timedelta = timedelta(days=3)


@dataclass(frozen=True)
class Upkeep:
    """What was done for a table."""

    table: str
    files_joined: int = 0
    snapshots_expired: int = 0
    files_removed: int = 0


@dataclass(frozen=True)
class DataFile:
    """A data file: its size, and the runs that it has rows of."""

    size_bytes: int
    first_run: int
    last_run: int


def maintain(store: IcebergStore, table: LakehouseTable, rules: UpkeepRules) -> Upkeep:
    """Do the upkeep of one table. Raises CommitConflict if another writer was faster; then call it again."""
    store.forget()
    joined = 0
    for group in groups_to_join(list(_data_files(store.table(table.name)))):
        first, last = group[0].first_run, max(file.last_run for file in group)
        rows = store.scan(table.name, table.column_names, after=first - 1, upto=last)
        store.rewrite(table, rows, first, last)
        joined += len(group)
    now = datetime.now(UTC)
    expired = store.expire(table.name, now - rules.keep_snapshots)
    removed = _remove_files(store, table.name, now - rules.remove_files_after)
    return Upkeep(table.name, joined, expired, removed)


def groups_to_join(files: Sequence[DataFile]) -> Iterator[list[DataFile]]:
    """Which files are joined, each group into one: neighbours by their runs, each small. Pure."""
    group: list[DataFile] = []
    for file in sorted(files, key=lambda one: (one.first_run, one.last_run)):
        size = sum(one.size_bytes for one in group)
        if group and (file.size_bytes >= SMALL_BYTES or size + file.size_bytes > SMALL_BYTES):
            if len(group) >= FEWEST_FILES:
                yield group
            group = []
        if file.size_bytes < SMALL_BYTES:
            group.append(file)
    if len(group) >= FEWEST_FILES:
        yield group


def _data_files(table: Table) -> Iterator[DataFile]:
    run = table.schema().find_field(RUN).field_id
    with lakehouse_errors(f"the Iceberg table {'.'.join(table.name())}"):
        for task in table.scan().plan_files():
            file = task.file
            first, last = (int(from_bytes(LongType(), one[run])) for one in (file.lower_bounds, file.upper_bounds))
            yield DataFile(file.file_size_in_bytes, first, last)


def _remove_files(store: IcebergStore, name: str, before: datetime) -> int:
    """Remove the files of a table that no snapshot refers to and that were written before then; how many.

    A younger file may belong to a commit in progress.
    """
    store.forget()
    table = store.table(name)
    with lakehouse_errors(store.what(name)):
        known = {_path(location) for location in _referenced(table)}
        io = table.io
        assert isinstance(io, PyArrowFileIO)
        parts = urlsplit(table.location())
        files = io.fs_by_scheme(parts.scheme or "file", parts.netloc or None)
        selector = pyarrow.fs.FileSelector(_path(table.location()), recursive=True, allow_not_found=True)
        old = [
            found.path
            for found in files.get_file_info(selector)
            if found.is_file and found.mtime < before and found.path not in known
        ]
        for path in old:
            files.delete_file(path)
    return len(old)


def _referenced(table: Table) -> Iterator[str]:
    """Every file that the table's metadata refers to, and the metadata files themselves."""
    yield table.metadata_location
    yield from (entry.metadata_file for entry in table.metadata.metadata_log)
    for snapshot in table.snapshots():
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(table.io):
            yield manifest.manifest_path
            # A deleted entry names a file that an older snapshot may still need.
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False):
                yield entry.data_file.file_path


def _path(location: str) -> str:
    """A location as Arrow's file systems name it."""
    parts = urlsplit(location)
    return f"{parts.netloc}{parts.path}" if parts.scheme in ("s3", "s3a") else parts.path
