"""How far capture has read the source's log."""

from pydantic import AwareDatetime, BaseModel, ConfigDict

from totesys.transactions import HighWaterMark


class _Recorded(BaseModel):
    # Like any record of the lake.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Checkpoint(_Recorded):
    """A position in the log, and the first transaction that had not begun when the position was read.

    A snapshot that has seen all transactions before `xid` has seen everything that was committed before `lsn`.
    """

    lsn: int
    xid: int


class LogPosition(_Recorded):
    """How far capture has read the log through a replication slot.

    The high-water mark of the same record has seen everything that was committed before `lsn`; None until that is
    known, by `checkpoint`. `publication` and `files` are fingerprints of the publication and of each table's files: the
    log does not say what was not published, nor how a table was rewritten. `checked` is the high-water mark up to which
    a scan has checked the log, `checked_at` the time of that scan.
    """

    slot: str
    timeline: int
    publication: str
    files: dict[str, str]
    checked: HighWaterMark
    checked_at: AwareDatetime
    lsn: int | None = None
    checkpoint: Checkpoint | None = None

    def settled(self, mark: HighWaterMark) -> "LogPosition":
        """This position with its checkpoint reached, if `mark` has seen all transactions before it."""
        if self.checkpoint is None or mark.xmin < self.checkpoint.xid:
            return self
        return self.model_copy(update={"lsn": max(self.lsn or 0, self.checkpoint.lsn), "checkpoint": None})
