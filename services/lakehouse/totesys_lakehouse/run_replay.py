"""Replaces the rows of a run that is in the lakehouse with what the lake has of it now."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from totesys.errors import CorruptObject
from totesys.lake.keys import MANIFEST, record_key
from totesys.lake.records import ProcessedManifest
from totesys.lake.store import Lake
from totesys_lakehouse.batch_commit import BatchCommit
from totesys_lakehouse.lakehouse_ledger import LedgerEntry, ledger_state, replace_entry, runs_with_rows
from totesys_lakehouse.lakehouse_tables import LakehouseTable


async def read_manifest(lake: Lake, run: int) -> ProcessedManifest:
    """Transform's record of a run. Raises CorruptObject if it is missing."""
    manifest = await lake.processed_manifest(run)
    if manifest is None:
        where = lake.processed.where(record_key(run, MANIFEST))
        raise CorruptObject(f"{where} is missing. Restore it, or trigger transform for its run again.")
    return manifest


@dataclass(frozen=True)
class RunReplay:
    """Replays runs one by one. Each table that a run touches gets one commit; the run's ledger row comes last."""

    commit: BatchCommit

    async def runs(self, after: int, upto: int) -> AsyncGenerator[int, None]:
        """The runs after `after`, up to `upto`, that can be replayed."""
        for run in await asyncio.to_thread(runs_with_rows, self.commit.store, after, upto):
            yield run

    async def replay(self, run: int) -> Counter[str]:
        """Replay one run; its rows by table. Doing it twice changes nothing more."""
        manifest = await read_manifest(self.commit.lake, run)
        written = Counter[str]()
        for table in self.commit.tables:
            if table.declared is not None and await self._touches(manifest, table):
                written[table.name] = await self._replace(manifest, table)
        entry = LedgerEntry(manifest, replayed_at=datetime.now(UTC))
        await asyncio.to_thread(replace_entry, self.commit.store, entry)
        return +written

    async def _touches(self, manifest: ProcessedManifest, table: LakehouseTable) -> bool:
        """Whether the run has rows of the table, or had some."""
        if table.name in manifest.tables:
            return True
        before = await asyncio.to_thread(
            self.commit.store.scan, table.name, ("run",), upto=manifest.run, after=manifest.run - 1
        )
        return bool(before.num_rows)

    async def _replace(self, manifest: ProcessedManifest, table: LakehouseTable) -> int:
        runs = [manifest]
        if table.drops_repeats and (following := await self._following(manifest, table)):
            runs.append(following)
        rows: pa.Table = await self.commit.rows(table, runs)
        self.commit.known.forget()
        await asyncio.to_thread(self.commit.store.replace, table, rows, [one.run for one in runs])
        built = manifest.tables.get(table.name)
        return built.rows if built else 0

    async def _following(self, manifest: ProcessedManifest, table: LakehouseTable) -> ProcessedManifest | None:
        """The next run that brought the table. Of its rows, those that repeated the replayed run's were not appended.

        They no longer repeat them where the replay changes these, so all of its rows are written.
        """
        last = (await asyncio.to_thread(ledger_state, self.commit.store)).last_run
        later: Sequence[int] = await asyncio.to_thread(runs_with_rows, self.commit.store, manifest.run, last)
        for run in later:
            following = await read_manifest(self.commit.lake, run)
            if table.name in following.tables:
                return following
        return None
