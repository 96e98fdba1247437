"""What `totesys doctor` calls right and wrong."""

from datetime import UTC, datetime, timedelta

import pytest

from totesys.transactions import OpenTransaction
from totesys_cli.doctor import judge
from totesys_cli.doctor.finding import FindingLevel, failed
from totesys_cli.doctor.wiring import Notification, Redrive, Rule, wiring
from totesys_infra import data_plane_template


@pytest.mark.parametrize(
    ("number", "level"),
    [
        (130011, FindingLevel.FAIL),
        (140000, FindingLevel.WARN),
        (150004, FindingLevel.OK),
        (180000, FindingLevel.OK),
        (190000, FindingLevel.WARN),
    ],
)
def test_a_server_that_is_too_old_fails_and_one_that_was_never_tried_is_a_warning(
    number: int, level: FindingLevel
) -> None:
    assert judge.postgres_version("source", number).level == level
    assert judge.python_version((3, 10)).level == FindingLevel.FAIL


@pytest.mark.parametrize(
    ("seconds", "level", "words"),
    [
        (4.9, FindingLevel.OK, "less than 5 s"),
        (-4.9, FindingLevel.OK, "less than 5 s"),
        (60, FindingLevel.WARN, "60 s ahead of"),
        (-60, FindingLevel.WARN, "60 s behind"),
        (901, FindingLevel.FAIL, "AWS refuses"),
        (-901, FindingLevel.FAIL, "AWS refuses"),
    ],
)
def test_clocks_that_differ_are_told(seconds: float, level: FindingLevel, words: str) -> None:
    finding = judge.clock("lake", timedelta(seconds=seconds), judge.SIGNATURE)
    assert (finding.level, words in finding.sentence) == (level, True)
    assert judge.clock("source", timedelta(seconds=seconds)).level != FindingLevel.FAIL


@pytest.mark.parametrize(
    ("minutes", "level"), [(None, FindingLevel.OK), (15, FindingLevel.OK), (16, FindingLevel.WARN)]
)
def test_a_long_open_transaction_is_reported_with_its_holder(minutes: int | None, level: FindingLevel) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    found = minutes and OpenTransaction(id=7, holder="session 5 of app", since=now - timedelta(minutes=minutes))
    finding = judge.open_transaction(found or None, now)
    assert finding.level == level
    assert ("session 5 of app" in finding.sentence) == (level == FindingLevel.WARN)


def test_an_error_s_last_sentence_is_the_remedy() -> None:
    finding = failed("source", ValueError("The source at h:1/db is shut. It is late. Open it."))
    assert (finding.sentence, finding.remedy) == ("The source at h:1/db is shut. It is late.", "Open it.")
    assert failed("source", ValueError("No.")).sentence == "No."


def test_what_is_connected_with_what_is_read_from_the_template() -> None:
    found = wiring(data_plane_template(), "x")
    assert found.notifications == (
        Notification("x-ingest", "s3:ObjectCreated:*", "manifest.json", "x-transform"),
        Notification("x-processed", "s3:ObjectCreated:*", "manifest.json", "x-load"),
    )
    assert found.redrives == tuple(Redrive(f"x-{one}", f"x-{one}-dlq", 5) for one in ("ingest", "transform", "load"))
    assert Rule("x-verify", "x-load", '{"verify": true}') in found.rules
