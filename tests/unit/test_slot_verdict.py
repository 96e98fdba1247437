"""A slot is read only if it has everything since the last run, and is made anew if it does not."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from totesys.log_position import Checkpoint, LogPosition
from totesys.transactions import HighWaterMark, SourceState
from totesys_ingest.ingest_settings import GIB, IngestSettings
from totesys_ingest.replication_slot import SlotState
from totesys_ingest.slot_verdict import judge_slot
from totesys_ingest.starting_point import SourceStatus

NOW = datetime(2026, 11, 30, tzinfo=UTC)
SETTINGS = IngestSettings(
    ingest_bucket="ingest",
    processed_bucket="processed",
    queue_url="queue",
    dlq_url="dlq",
    source_dsn=SecretStr("postgresql://source"),
    capture="log",
)
MARK = HighWaterMark(xmax=100)
KNOWN = LogPosition(
    slot="totesys", timeline=1, publication="", files={}, checked=MARK, checked_at=NOW, lsn=40 * GIB, checkpoint=None
)
UNSETTLED = KNOWN.model_copy(update={"lsn": None, "checkpoint": Checkpoint(lsn=40 * GIB, xid=100)})
STATE = SlotState(True, "logical", 41 * GIB, 41 * GIB, True, confirmed=40 * GIB, kept_from=41 * GIB - 1)
STATUS = SourceStatus(SourceState("1/1/1", 41 * GIB, None), NOW, False, 100, 100)


@pytest.mark.parametrize(
    ("state", "known", "reason", "renew"),
    [
        (STATE, KNOWN, None, False),
        (replace(STATE, exists=False), KNOWN, "does not exist", True),
        (replace(STATE, lost="wal_removed"), KNOWN, "invalidated", True),
        (replace(STATE, kept_from=30 * GIB), KNOWN, "made the source keep more than 10,240 MiB", True),
        (replace(STATE, kept_from=39 * GIB), KNOWN, "more than 1,024 MiB of the log", False),
        (replace(STATE, confirmed=40 * GIB + 1), KNOWN, "another client advanced", True),
        (replace(STATE, confirmed=40 * GIB + 1), UNSETTLED, "another client advanced", True),
        (STATE, UNSETTLED, "were open at the last run", False),
        (STATE, None, "has not read slot", True),
        (STATE, KNOWN.model_copy(update={"slot": "other"}), "has not read slot", True),
        (STATE, KNOWN.model_copy(update={"timeline": 2}), "timeline", True),
        (replace(STATE, active=True), KNOWN, "another client reads", False),
        (replace(STATE, fits=False), KNOWN, "another plugin or database", False),
        (replace(STATE, wal_level="replica"), KNOWN, "wal_level = replica", False),
    ],
)
def test_the_log_is_read_only_where_the_slot_has_everything_since_the_last_run(
    state: SlotState, known: LogPosition | None, reason: str | None, renew: bool
) -> None:
    verdict = judge_slot(SETTINGS, state, known, STATUS)
    assert (verdict.reason is None) == (reason is None)
    assert (reason or "") in (verdict.reason or "")
    assert verdict.renew == renew


def test_a_standby_is_scanned() -> None:
    verdict = judge_slot(SETTINGS, STATE, KNOWN, replace(STATUS, in_recovery=True))
    assert "standby" in (verdict.reason or "")
    assert not verdict.renew


def test_a_position_counts_once_all_older_transactions_were_seen() -> None:
    assert UNSETTLED.settled(HighWaterMark(xmax=200, in_progress=(99,))) == UNSETTLED
    assert UNSETTLED.settled(HighWaterMark(xmax=200, in_progress=(100,))) == KNOWN
