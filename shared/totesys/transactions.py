"""A source's transactions: which of its rows a snapshot has not seen, and where in its history the source was.

Rows carry 32-bit transaction ids. What is recorded has 64 bits, as `pg_current_snapshot` gives them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

# The timeline changes when a standby or a backup takes over. The file that is being written has the one that is in
# force; the control file would tell that of the last checkpoint. A standby has no file of its own.
_TIMELINE = """
    CASE WHEN pg_is_in_recovery() THEN
        (SELECT greatest(recovery.min_recovery_end_timeline, checkpoint.timeline_id)
         FROM pg_control_recovery() AS recovery, pg_control_checkpoint() AS checkpoint)
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint END"""

# The oid tells databases of one server apart.
SOURCE_ID = f"""
    (SELECT system_identifier FROM pg_control_system())
    || '/' || ({_TIMELINE})
    || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())"""

# How far the write-ahead log is written, on a standby replayed, in bytes.
LSN = """
    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
     - '0/0')::bigint"""

# How the transactions from $1 to before $2 have ended: `Outcomes.letters`. An id that was never given out is an error.
# `pg_xact_status` has forgotten what is frozen everywhere.
OUTCOMES = """
SELECT string_agg(
    CASE WHEN id >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint THEN 'p'
    ELSE CASE pg_xact_status(id::text::xid8)
         WHEN 'committed' THEN 'c' WHEN 'aborted' THEN 'a' WHEN 'in progress' THEN 'p' ELSE '?' END
    END, '' ORDER BY id) AS letters
FROM generate_series($1::bigint, $2::bigint - 1) AS id"""

# Postgres tells the age of a row's 32-bit transaction id only within half of that circle.
HALF_CIRCLE = 2**31

# Three ticks. A transaction that is open for longer may have been forgotten.
LONG_OPEN = timedelta(minutes=15)

# Each page of the log begins with a header of up to 40 bytes. The end of the last record may be told as the end of one
# page or as what follows the header of the next.
_WAL_PAGE, _WAL_HEADER = 8192, 40

# Nearly all transactions commit: so many that were aborted then and are now are no coincidence.
ENOUGH = 8
_KNOWN = "ca"
_LOST = "transactions that the last run saw are not in the source's history"


class _Recorded(BaseModel):
    # As any record of the lake: a field that is not known is one that can be done without.
    model_config = ConfigDict(frozen=True, extra="ignore")


class HighWaterMark(_Recorded):
    """Which transactions a snapshot has seen: those before `xmax`, but for those that were `in_progress`.

    Subtransactions have ids of their own, and are among these.
    """

    xmax: int
    in_progress: tuple[int, ...] = ()

    @property
    def xmin(self) -> int:
        """The first transaction that the snapshot has not seen."""
        return min((self.xmax, *self.in_progress))

    def unseen(self, relation: str = "") -> str:
        """SQL that is true of a row (of `relation`) whose transaction the snapshot has not seen.

        A row that was frozen half a circle ago has a negative age. One that was frozen a circle ago may look new: it
        comes once more, as it is.
        """
        xmin = f"{relation}.xmin" if relation else "xmin"
        since = f"age({xmin}) <= age('{xid(self.xmax)}'::xid) AND age({xmin}) >= 0"
        if not self.in_progress:
            return f"({since})"
        ids = ",".join(map(xid, self.in_progress))
        return f"({since} OR {xmin} = ANY ('{{{ids}}}'::xid[]))"


class Outcomes(_Recorded):
    """How the transactions from `first` on have ended: a letter each, `c`ommitted, `a`borted, in `p`rogress or unknown.

    A source that has gone back in time gives the same ids to other transactions, which end otherwise.
    """

    first: int
    letters: str

    @property
    def after(self) -> int:
        """The first id after them."""
        return self.first + len(self.letters)

    def agree(self, now: str) -> bool | None:
        """Whether the same transactions, which `now` have ended so, are the same; None if that cannot be told."""
        known = [
            (then, later) for then, later in zip(self.letters, now, strict=True) if then in _KNOWN and later != "?"
        ]
        if any(then != later for then, later in known):
            return False
        return True if known.count(("a", "a")) >= ENOUGH else None


class Position(_Recorded):
    """Where in its history a source was: so far in the log of a timeline, after transactions with these outcomes."""

    timeline: int
    lsn: int
    outcomes: Outcomes

    @property
    def reached(self) -> int:
        """The least position in the log of a server that has replayed everything up to `lsn`."""
        return self.lsn - self.lsn % _WAL_PAGE if self.lsn % _WAL_PAGE <= _WAL_HEADER else self.lsn


@dataclass(frozen=True)
class SourceState:
    """A source, as SOURCE_ID says it, at a time; `lsn` is how far its log was at the least.

    `outcomes` are those of the transactions that an earlier position has the outcomes of.
    """

    source: str
    lsn: int
    outcomes: str | None

    @property
    def timeline(self) -> int:
        return timeline_of(self.source)

    def is_of(self, source: str) -> bool:
        """Whether it is the same database of the same server, or of one that descends from it or from its ancestors."""
        return source.split("/")[::2] == self.source.split("/")[::2]

    def breaks_with(self, source: str, position: Position | None) -> str | None:
        """Why this does not go on from where `source` was; None if it does.

        A standby that takes over without having lost anything does, although its timeline is another one.
        """
        agree = position.outcomes.agree(self.outcomes) if position and self.outcomes else None
        if not self.is_of(source) or (agree is None and source != self.source):
            return f"the source is {self.source}, the last run is of {source}"
        if agree is False:
            return f"{_LOST}: it went back to an earlier state, or another server took over that lacked them"
        if agree is None and position and self.lsn < position.reached:
            return f"{_LOST}: its log was at {show_lsn(position.lsn)}, and is at {show_lsn(self.lsn)}"
        return None


class OpenTransaction(_Recorded):
    """A transaction in progress: its 32-bit id, who holds it, and since when it is open at the least."""

    id: int
    holder: str
    since: AwareDatetime

    def age(self, at: datetime) -> timedelta:
        """How long it has been open at the least; both times are the source's."""
        return max(at - self.since, timedelta(0))


def timeline_of(source: str) -> int:
    """The timeline that SOURCE_ID has told."""
    return int(source.split("/")[1])


def xid(number: int) -> str:
    """A 64-bit transaction id as the 32-bit `xid` that rows carry."""
    return str(number % 2**32)


def show_lsn(lsn: int) -> str:
    """A position in the log as Postgres writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
