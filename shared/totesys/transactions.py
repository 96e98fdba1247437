"""Transactions of the source: which rows a snapshot has not seen, and where the source is in its history.

Rows have 32-bit transaction ids. Records have 64-bit ids, as `pg_current_snapshot` returns them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from totesys.sql import column_list

# The timeline changes when a standby or a backup takes over. The WAL file being written has the current one, the
# control file only that of the last checkpoint. A standby writes no file of its own.
_TIMELINE = """
    CASE WHEN pg_is_in_recovery() THEN
        (SELECT greatest(recovery.min_recovery_end_timeline, checkpoint.timeline_id)
         FROM pg_control_recovery() AS recovery, pg_control_checkpoint() AS checkpoint)
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint END"""

# The oid distinguishes databases of one server.
SOURCE_ID = f"""
    (SELECT system_identifier FROM pg_control_system())
    || '/' || ({_TIMELINE})
    || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())"""

# The end of the write-ahead log, on a standby of what is replayed, in bytes.
LSN = """
    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
     - '0/0')::bigint"""

# The outcomes of the transactions from $1 to before $2, as in `Outcomes.letters`. An id that was never assigned is an
# error. `pg_xact_status` forgets transactions that are frozen everywhere. Snapshots omit a VACUUM, so before it commits
# `pg_xact_status` may report it as aborted; it holds the lock on its id.
OUTCOMES = """
WITH held AS MATERIALIZED (
    SELECT transactionid::text AS id FROM pg_locks
    WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted
)
SELECT string_agg(
    CASE WHEN id >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
              OR (id % 4294967296)::text IN (SELECT held.id FROM held) THEN 'p'
    ELSE CASE pg_xact_status(id::text::xid8)
         WHEN 'committed' THEN 'c' WHEN 'aborted' THEN 'a' WHEN 'in progress' THEN 'p' ELSE '?' END
    END, '' ORDER BY id) AS letters
FROM generate_series($1::bigint, $2::bigint - 1) AS id"""

# The age of a 32-bit transaction id is only right within half of the circle of ids.
HALF_CIRCLE = 2**31

# Three ticks. A transaction that is open for longer may be forgotten.
LONG_OPEN = timedelta(minutes=15)

# Each page of the log starts with a header of up to 40 bytes. The end of the last record may be reported as the end of
# one page or as the position after the header of the next.
_WAL_PAGE, _WAL_HEADER = 8192, 40

# Nearly all transactions commit: so many that were aborted then and now are no coincidence.
ENOUGH = 8
_KNOWN = "ca"
_LOST = "transactions that the last run saw are not in the source's history"


class _Recorded(BaseModel):
    # Like any record of the lake.
    model_config = ConfigDict(frozen=True, extra="ignore")


class HighWaterMark(_Recorded):
    """The transactions that a snapshot has seen: those before `xmax`, except those `in_progress`.

    Subtransactions have ids of their own, and are among these.
    """

    xmax: int
    in_progress: tuple[int, ...] = ()

    @property
    def xmin(self) -> int:
        """The first transaction that the snapshot has not seen."""
        return min((self.xmax, *self.in_progress))

    def unseen(self, relation: str = "", column: str = "xmin") -> str:
        """SQL that is true of a row (of `relation`) whose transaction the snapshot has not seen.

        A row that was frozen half a circle ago has a negative age. One that was frozen a whole circle ago may look new:
        it is extracted once more, unchanged.
        """
        xmin = column_list([column], relation)
        since = f"age({xmin}) <= age('{xid(self.xmax)}'::xid) AND age({xmin}) >= 0"
        if not self.in_progress:
            return f"({since})"
        ids = ",".join(map(xid, self.in_progress))
        return f"({since} OR {xmin} = ANY ('{{{ids}}}'::xid[]))"


class Outcomes(_Recorded):
    """The outcomes of the transactions from `first` on, a letter each: `c`ommitted, `a`borted, in `p`rogress, unknown.

    A source that went back in time assigns the same ids to other transactions, with other outcomes.
    """

    first: int
    letters: str

    @property
    def after(self) -> int:
        """The first id after these transactions."""
        return self.first + len(self.letters)

    def agree(self, now: str) -> bool | None:
        """Whether the outcomes `now` are of the same transactions; None if that can't be decided."""
        known = [
            (then, later) for then, later in zip(self.letters, now, strict=True) if then in _KNOWN and later != "?"
        ]
        if any(then != later for then, later in known):
            return False
        return True if known.count(("a", "a")) >= ENOUGH else None


class Position(_Recorded):
    """A position in the source's history: in the log of a timeline, after transactions with these outcomes."""

    timeline: int
    lsn: int
    outcomes: Outcomes

    @property
    def reached(self) -> int:
        """The least log position of a server that has replayed everything up to `lsn`."""
        return least_lsn(self.lsn)


@dataclass(frozen=True)
class SourceState:
    """The state of a source: its SOURCE_ID, its least log position, and outcomes of transactions.

    `outcomes` are of those transactions whose outcomes an earlier position records.
    """

    source: str
    lsn: int
    outcomes: str | None

    @property
    def timeline(self) -> int:
        return timeline_of(self.source)

    def is_of(self, source: str) -> bool:
        """Whether it is the same database, of the same server or of a relative: a standby or a restored backup."""
        return source.split("/")[::2] == self.source.split("/")[::2]

    def breaks_with(self, source: str, position: Position | None) -> str | None:
        """Why this state does not continue from that of `source`; None if it does.

        A standby that took over without any loss continues, although its timeline differs.
        """
        agree = position.outcomes.agree(self.outcomes) if position and self.outcomes else None
        if not self.is_of(source) or (agree is None and source != self.source):
            return f"the source is {self.source}, but the last run is of {source}"
        if agree is False:
            return f"{_LOST}: it went back to an earlier state, or a server that lacked them took over"
        if agree is None and position and self.lsn < position.reached:
            return f"{_LOST}: its log was at {show_lsn(position.lsn)}, and is now at {show_lsn(self.lsn)}"
        return None


class OpenTransaction(_Recorded):
    """A transaction in progress: its 32-bit id, its holder, and since when it has been open at least."""

    id: int
    holder: str
    since: AwareDatetime

    def age(self, at: datetime) -> timedelta:
        """How long it has been open at least; both times are the source's."""
        return max(at - self.since, timedelta(0))


def timeline_of(source: str) -> int:
    """The timeline in a SOURCE_ID."""
    return int(source.split("/")[1])


def xid(number: int) -> str:
    """A 64-bit transaction id as the 32-bit `xid` of rows."""
    return str(number % 2**32)


def least_lsn(lsn: int) -> int:
    """The least position that a server may report instead of `lsn`, although it has as much of the log."""
    return lsn - lsn % _WAL_PAGE if lsn % _WAL_PAGE <= _WAL_HEADER else lsn


def show_lsn(lsn: int) -> str:
    """A log position as Postgres writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
