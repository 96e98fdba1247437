"""Capture from the source's log: the log says which keys changed, the snapshot says what they are.

A scan by transaction id takes the place of the log wherever the log cannot be used, and checks it once a day. The slot
is never advanced past a transaction that the last committed run has not seen.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import asyncpg

from totesys.connection import Connection
from totesys.errors import TooManyConnections
from totesys.lake.records import Manifest
from totesys.log_events import LogEvent
from totesys.log_position import Checkpoint, LogPosition
from totesys.logs import logger, metrics
from totesys.table import SourceTable
from totesys.transactions import HALF_CIRCLE
from totesys_ingest.changed_keys import ChangedKeys, TableChanges, VisibleTransactions
from totesys_ingest.ingest_settings import IngestSettings
from totesys_ingest.publication import Publication, read_publication
from totesys_ingest.replication_slot import Slot, SlotState, flush_log, is_flushed
from totesys_ingest.slot_verdict import judge_slot
from totesys_ingest.source_connection import SourceConnection
from totesys_ingest.starting_point import SourceSnapshot, SourceStatus, StartingPoint

log = logger("totesys.ingest.log_capture")

_SNAPSHOT = "SELECT pg_current_snapshot()::text"
# The server or the connection ends: not a reason to do without the log.
_OUTAGES = (asyncpg.OperatorInterventionError, asyncpg.PostgresConnectionError)


@dataclass(frozen=True)
class Prepared:
    """What is known of the log before the snapshot: why it cannot be used (`reason`), or how far it was read.

    A slot that was just created has everything from `created` on, as long as `publication` stays as it is. `flushed` is
    a position of the log on disk, before the snapshot.
    """

    reason: str | None
    log: LogPosition | None = None
    created: int | None = None
    publication: str = ""
    flushed: int | None = None


@dataclass(frozen=True)
class Captured:
    """The changes by table that the log names, or None if the tick has to scan, and `reason` why.

    `log` is how far capture has read the log once the run is complete.
    """

    log: LogPosition | None
    reason: str | None
    changes: dict[str, TableChanges] | None = None

    @property
    def by(self) -> Literal["scan", "log"]:
        """What names the changed rows."""
        return "scan" if self.changes is None else "log"


@dataclass
class LogCapture:
    """Reads the log through a slot of its own. Does nothing unless the settings choose it."""

    settings: IngestSettings
    tables: Sequence[SourceTable]
    open_source: Callable[[], AbstractAsyncContextManager[SourceConnection]]
    reported: set[str] = field(default_factory=set)

    async def prepare(self, source: SourceConnection, last: Manifest | None, status: SourceStatus) -> Prepared:
        """Keep the slot within its limits, and make it anew if the log cannot be read from where the last run was."""
        slot, known = self._slot(source), last.log if last else None
        chosen = self.settings.capture == "log"
        if known and not status.in_recovery and not (chosen and known.slot == slot.name):
            await self._leave(replace(slot, name=known.slot))
        if not chosen:
            return Prepared(None)
        state = await slot.state()
        figures = metrics("ingest", RetainedLogBytes=state.retained_bytes)
        log.info(LogEvent.SLOT_MEASURED, slot=slot.name, retained_bytes=state.retained_bytes, **figures)
        continues = last is not None and status.place.breaks_with(last.source, last.position) is None
        verdict = judge_slot(self.settings, state, known if continues else None, status)
        if verdict.renew:
            return await self._renew(slot, state, source, verdict.reason)
        return Prepared(verdict.reason, known if verdict.is_ours else None, flushed=state.flushed)

    async def read(
        self, source: SourceConnection, prepared: Prepared, snapshot: SourceSnapshot, start: StartingPoint
    ) -> Captured:
        """What the log says about the changes that the snapshot shows; runs in the snapshot's transaction."""
        if snapshot.status.in_recovery or (prepared.log is None and prepared.created is None):
            return Captured(prepared.log, prepared.reason)
        publication = await self._publication(source)
        before = prepared.log.publication if prepared.log else prepared.publication
        if publication.problem or publication.fingerprint != before:
            return Captured(None, publication.problem or "the publication changed since the last run")
        visible = VisibleTransactions.parse(await source.connection.fetchval(_SNAPSHOT))
        position = self._scanned(prepared, snapshot, publication, visible, start)
        if prepared.reason or prepared.log is None or start.mark is None:
            return Captured(position, prepared.reason)
        try:
            await self._flush(source, snapshot.lsn)
            found = await self._read_log(source, snapshot, visible)
        except TooManyConnections:
            return Captured(position, "its log is not on disk yet, and it has no free connection to flush it with")
        except _OUTAGES:
            raise
        except asyncpg.PostgresError as error:
            return Captured(None, f"the log cannot be read: {error}")
        for table, files in publication.files.items():
            if prepared.log.files.get(table) != files:
                # A rewritten table has other rows, of which the log says nothing.
                found.changes.setdefault(table, TableChanges()).scan = True
        lsn = snapshot.lsn if found.first_unseen is None else found.first_unseen
        position = prepared.log.model_copy(update={"lsn": lsn, "checkpoint": None, "files": dict(publication.files)})
        return Captured(position, None, found.changes)

    async def advance(self, source: SourceConnection, committed: Manifest, status: SourceStatus) -> None:
        """Let the source give up the part of the log that a committed run has seen."""
        if committed.log is None or committed.log.lsn is None or status.in_recovery:
            return
        if source.connection.is_in_transaction():
            await source.end_transaction()
        try:
            await self._slot(source).advance(committed.log.lsn)
        except asyncpg.PostgresError as error:
            log.warning(LogEvent.SLOT_CHANGE_FAILED, error=str(error), next="the next extraction reads it again")

    def is_check_due(self, captured: Captured, snapshot: SourceSnapshot) -> bool:
        """Whether a scan has to check what the log said since the last check."""
        position = captured.log
        if position is None or captured.changes is None:
            return False
        age = snapshot.taken_at - position.checked_at
        return age >= self.settings.log_check or snapshot.mark.xmax - position.checked.xmin >= HALF_CIRCLE // 2

    def report(self, captured: Captured) -> None:
        """Warn once a process about each reason for a scan."""
        if self.settings.capture == "log" and captured.reason and captured.reason not in self.reported:
            self.reported.add(captured.reason)
            log.warning(LogEvent.LOG_CAPTURE_SUSPENDED, reason=captured.reason, next="the tick scans for changes")

    def _slot(self, source: SourceConnection) -> Slot:
        return Slot(source.connection, self.settings.capture_slot, self.settings.capture_publication)

    async def _publication(self, source: SourceConnection) -> Publication:
        name = self.settings.capture_publication
        return await read_publication(source.connection, name, source.schema, self.tables)

    async def _renew(self, slot: Slot, state: SlotState, source: SourceConnection, reason: str | None) -> Prepared:
        publication = await self._publication(source)
        try:
            await self._drop(slot, state, publication.problem or reason)
            if publication.problem:
                return Prepared(publication.problem)
            created = await slot.create()
        except _OUTAGES:
            raise
        except asyncpg.PostgresError as error:
            return Prepared(f"{reason}, and it cannot be created: {error}")
        log.info(LogEvent.SLOT_CREATED, slot=slot.name, reason=reason)
        return Prepared(reason, created=created, publication=publication.fingerprint)

    async def _leave(self, slot: Slot) -> None:
        """Drop a slot that is no longer read."""
        try:
            await self._drop(slot, await slot.state(), "the settings no longer name it")
        except _OUTAGES:
            raise
        except asyncpg.PostgresError as error:
            log.warning(LogEvent.SLOT_CHANGE_FAILED, error=str(error), next="drop the slot: the source keeps its log")

    async def _drop(self, slot: Slot, state: SlotState, reason: str | None) -> None:
        if state.exists and state.fits:
            await slot.drop()
            log.warning(LogEvent.SLOT_DROPPED, slot=slot.name, reason=reason, retained_bytes=state.retained_bytes)

    def _scanned(
        self,
        prepared: Prepared,
        snapshot: SourceSnapshot,
        publication: Publication,
        visible: VisibleTransactions,
        start: StartingPoint,
    ) -> LogPosition:
        """The position after a scan: that of the last checkpoint before which the scan has seen all transactions."""
        place, files = snapshot.status.place, dict(publication.files)
        checked = {"checked": snapshot.mark, "checked_at": snapshot.taken_at}
        if prepared.log is not None:
            # What is not on disk yet may be lost in a crash, and its position be used again.
            assert prepared.flushed is not None
            following = prepared.log.checkpoint or Checkpoint(lsn=prepared.flushed, xid=visible.xmax)
            changes = {"checkpoint": following, "files": files, **(checked if start.mark is None else {})}
            return prepared.log.model_copy(update=changes).settled(snapshot.mark)
        assert prepared.created is not None
        return LogPosition(
            slot=self.settings.capture_slot,
            timeline=place.timeline,
            publication=publication.fingerprint,
            files=files,
            checked=snapshot.mark,
            checked_at=snapshot.taken_at,
            checkpoint=Checkpoint(lsn=prepared.created, xid=visible.xmax),
        ).settled(snapshot.mark)

    async def _flush(self, source: SourceConnection, upto: int) -> None:
        if not await is_flushed(source.connection, upto):
            async with self.open_source() as other:
                await flush_log(other.connection)

    async def _read_log(
        self, source: SourceConnection, snapshot: SourceSnapshot, visible: VisibleTransactions
    ) -> ChangedKeys:
        declared = {table.name: table for table in self.tables}
        relations = {
            relation: declared[name]
            for name, definition in snapshot.changes.definitions.items()
            for relation in definition.relations
        }
        found = ChangedKeys(relations, visible)
        async with _savepoint(source.connection):
            async for messages in self._slot(source).messages(snapshot.lsn):
                found.add_all(messages)
        return found


@asynccontextmanager
async def _savepoint(connection: Connection) -> AsyncIterator[None]:
    """Keep the transaction alive whatever error the block ends with."""
    await connection.execute("SAVEPOINT log")
    try:
        yield
    except asyncpg.PostgresError as error:
        if not isinstance(error, _OUTAGES):
            await connection.execute("ROLLBACK TO SAVEPOINT log")
        raise
    await connection.execute("RELEASE SAVEPOINT log")


def checked(position: LogPosition, snapshot: SourceSnapshot) -> LogPosition:
    """The position after a scan that checked the log."""
    return position.model_copy(update={"checked": snapshot.mark, "checked_at": snapshot.taken_at})
