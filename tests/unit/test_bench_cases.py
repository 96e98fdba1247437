"""The arithmetic of the benchmark's cases."""

from datetime import UTC, datetime, timedelta

import pytest

from bench.cases.latency import SourceCommit, VisibleSnapshot, delays_by_row
from bench.cases.start_and_idle import Use, a_minute, a_tick, an_hour
from bench.counting_proxy import operation
from bench.generated_source import GROWING, copy_statement
from bench.measurement import Case
from bench.sizes import SIZES, levels
from bench.system import NotMeasurable, TimedExtraction, read_extraction
from totesys.log_events import LogEvent
from totesys.model.source_tables import PAYMENT, TRANSACTION
from totesys_cli.service_processes import ServiceEvent

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def event(service: str, name: str, **fields: object) -> ServiceEvent:
    return ServiceEvent(service, name, fields)


def test_each_number_of_orders_is_grown_once_and_has_every_case_that_is_measured_there() -> None:
    for size in SIZES.values():
        planned = levels(size, tuple(Case))
        orders = [level.orders for level in planned]
        assert orders == sorted(set(orders))
        by_case = {case: {level.orders for level in planned if case in level.cases} for case in Case}
        assert by_case[Case.FIRST_LOAD] == {size.first_load_orders}
        assert by_case[Case.TICK] == set(size.tick_orders)
        assert by_case[Case.VERIFY] == by_case[Case.FIRST_LOAD]
        assert by_case[Case.MEMORY] == set(size.memory_orders)
        assert by_case[Case.STAGES] == {size.stage_orders}
        assert all(len(by_case[case]) == 1 for case in (Case.FRESHNESS, Case.START_AND_IDLE))


def test_a_case_alone_needs_no_other_levels() -> None:
    size = SIZES["full"]
    assert [level.orders for level in levels(size, [Case.FRESHNESS])] == [1_000_000]
    assert [level.orders for level in levels(size, [Case.TICK])] == sorted(size.tick_orders)


def test_a_copied_row_refers_to_the_copies_of_what_grows_and_to_all_else_as_it_is() -> None:
    statement, shifted = copy_statement(PAYMENT)
    assert shifted == ["payment", "transaction"]
    assert '"payment_id" + $2' in statement
    assert '"transaction_id" + $3' in statement
    assert '"counterparty_id" +' not in statement
    assert copy_statement(TRANSACTION)[1] == ["transaction", "sales_order", "purchase_order"]
    assert GROWING[-1] is PAYMENT


def test_an_extraction_ends_when_its_last_run_is_loaded_whichever_line_comes_first() -> None:
    done = 5.0, event("ingest", LogEvent.EXTRACTION_COMPLETED, runs=[7, 8])
    loads = [(4.0, event("load", LogEvent.RUN_COMPLETED, run=7)), (6.0, event("load", LogEvent.RUN_COMPLETED, run=8))]
    assert read_extraction([loads[0], done, loads[1]], 1.0) == TimedExtraction(5.0, (7, 8))
    assert read_extraction([*loads, done], 1.0) == TimedExtraction(5.0, (7, 8))


def test_an_extraction_that_finds_nothing_ends_when_that_is_known() -> None:
    assert read_extraction([(5.0, event("ingest", LogEvent.EXTRACTION_COMPLETED, runs=[]))], 4.5) == TimedExtraction(
        0.5, ()
    )


def test_an_extraction_that_is_not_wholly_loaded_has_no_time() -> None:
    done = 5.0, event("ingest", LogEvent.EXTRACTION_COMPLETED, runs=[7, 8])
    with pytest.raises(NotMeasurable, match="7, 8"):
        read_extraction([done, (6.0, event("load", LogEvent.RUN_COMPLETED, run=7))], 1.0)
    with pytest.raises(NotMeasurable):
        read_extraction([], 1.0)


def test_a_row_waits_for_the_first_visible_snapshot_that_is_not_before_its_commit() -> None:
    snapshots = [VisibleSnapshot(after(10), after(12)), VisibleSnapshot(after(20), after(21))]
    commits = [
        SourceCommit(after(9), 2),
        SourceCommit(after(10), 1),
        SourceCommit(after(11), 1),
        SourceCommit(after(11), 0),
    ]
    assert delays_by_row(commits, snapshots) == [3.0, 3.0, 2.0, 10.0]
    with pytest.raises(NotMeasurable):
        delays_by_row([SourceCommit(after(20.5), 1)], snapshots)


def test_an_idle_hour_is_sixty_quiet_minutes_and_its_ticks() -> None:
    quiet = Use(30, {"ingest": 0.5}, {"SQS ReceiveMessage": 6})
    ticking = Use(60, {"ingest": 3.0}, {"SQS ReceiveMessage": 22, "S3 PutObject": 20})
    minute, tick = a_minute(quiet), a_tick(ticking, quiet, 10)
    assert minute == Use(60, {"ingest": 1.0}, {"SQS ReceiveMessage": 12})
    assert tick.cpu == pytest.approx({"ingest": 0.2})
    assert tick.requests == pytest.approx({"SQS ReceiveMessage": 1.0, "S3 PutObject": 2.0})
    hour = an_hour(minute, tick)
    assert hour.cpu == pytest.approx({"ingest": 62.4})
    assert hour.requests == pytest.approx({"SQS ReceiveMessage": 732.0, "S3 PutObject": 24.0})


@pytest.mark.parametrize(
    ("method", "query", "headers", "name"),
    [
        ("POST", {}, {"X-Amz-Target": "AmazonSQS.ReceiveMessage"}, "SQS ReceiveMessage"),
        ("GET", {"list-type": "2", "prefix": "runs/"}, {}, "S3 ListObjectsV2"),
        ("GET", {}, {}, "S3 GetObject"),
        ("PUT", {"partNumber": "1", "uploadId": "a"}, {}, "S3 UploadPart"),
        ("PUT", {}, {}, "S3 PutObject"),
        ("POST", {"uploads": ""}, {}, "S3 CreateMultipartUpload"),
        ("POST", {"uploadId": "a"}, {}, "S3 CompleteMultipartUpload"),
        ("DELETE", {"uploadId": "a"}, {}, "S3 AbortMultipartUpload"),
        ("DELETE", {}, {}, "S3 DeleteObject"),
        ("PATCH", {}, {}, "S3 PATCH"),
    ],
)
def test_a_request_is_counted_by_its_operation(
    method: str, query: dict[str, str], headers: dict[str, str], name: str
) -> None:
    assert operation(method, query, headers) == name
