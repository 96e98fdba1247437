"""Rows of the ledger, and which runs it has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from totesys.lake.records import ProcessedManifest
from totesys_lakehouse.iceberg_schema import arrow_schema
from totesys_lakehouse.iceberg_store import IcebergStore
from totesys_lakehouse.lakehouse_tables import LEDGER, LEDGER_TABLE
from totesys_lakehouse.run_rows import naive_utc

EXTRACTION = "totesys.extraction"


@dataclass(frozen=True)
class LedgerState:
    """The last run in the ledger (0: none), and the newest extraction of any run in it."""

    last_run: int
    extraction: int

    def supersedes(self, manifest: ProcessedManifest) -> bool:
        """Whether a newer extraction than the run's is in the ledger. Extractions are numbered in snapshot order."""
        return self.extraction > manifest.extraction

    def after(self, manifest: ProcessedManifest) -> "LedgerState":
        """The state once the run is in the ledger."""
        return LedgerState(manifest.run, max(self.extraction, manifest.extraction))


@dataclass(frozen=True)
class LedgerEntry:
    """A run as the ledger records it."""

    manifest: ProcessedManifest
    skipped: bool = False
    replayed_at: datetime | None = None


def ledger_state(store: IcebergStore) -> LedgerState:
    """Which runs the ledger has. Needs no scan: its commits note it as properties of the table."""
    return LedgerState(store.last_run(LEDGER), int(store.property(LEDGER, EXTRACTION) or 0))


def append_entries(store: IcebergStore, entries: Sequence[LedgerEntry], state: LedgerState) -> None:
    """Add runs to the ledger, which makes them visible; `state` is what it is then. Raises as `IcebergStore.append`."""
    rows = _rows(entries, datetime.now(UTC))
    store.append(LEDGER_TABLE, rows, state.last_run, {EXTRACTION: str(state.extraction)})


def replace_entry(store: IcebergStore, entry: LedgerEntry) -> None:
    """Note that a run was replayed; when its rows were first committed stays."""
    before = store.scan(LEDGER, ("run", "committed_at"), upto=entry.manifest.run, after=entry.manifest.run - 1)
    committed_at = before["committed_at"][0].as_py() if before.num_rows else datetime.now(UTC)
    store.replace(LEDGER_TABLE, _rows([entry], committed_at.replace(tzinfo=UTC)), [entry.manifest.run])


def runs_with_rows(store: IcebergStore, after: int, upto: int) -> list[int]:
    """The runs after `after`, up to `upto`, that the ledger has and that were not skipped, in order."""
    rows = store.scan(LEDGER, ("run", "skipped"), upto=upto, after=after).to_pylist()
    return sorted(row["run"] for row in rows if not row["skipped"])


def _rows(entries: Sequence[LedgerEntry], committed_at: datetime) -> pa.Table:
    return pa.Table.from_pylist([_row(entry, naive_utc(committed_at)) for entry in entries], arrow_schema(LEDGER_TABLE))


def _row(entry: LedgerEntry, committed_at: datetime) -> Mapping[str, object]:
    manifest = entry.manifest
    mark, position = manifest.high_water_mark, manifest.position
    return {
        "run": manifest.run,
        "lake": str(manifest.lake),
        "previous": manifest.previous,
        "extraction": manifest.extraction,
        "complete": manifest.complete,
        "snapshot_time": naive_utc(manifest.snapshot_time),
        "skipped": entry.skipped,
        "trigger": manifest.trigger,
        "source": manifest.source,
        "xmin_after": manifest.xmin_after,
        "swept": bool(manifest.keys),
        "high_water_mark": mark and mark.model_dump_json(),
        "position": position and position.model_dump_json(),
        "tables": "" if entry.skipped else ",".join(sorted(manifest.tables)),
        "rows": 0 if entry.skipped else sum(table.rows for table in manifest.tables.values()),
        "committed_at": committed_at,
        "replayed_at": entry.replayed_at and naive_utc(entry.replayed_at),
    }
