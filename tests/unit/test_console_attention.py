"""The console names each thing that needs attention once, with its reason and the next step, and is otherwise quiet."""

from datetime import UTC, datetime, timedelta

from totesys.lake.records import Failure, LoadedTable, Part, QuarantinedTable
from totesys.service.queue import DeadLetter, Depth
from totesys.service.runs import RunDetail, StageState
from totesys.stage_names import STAGES
from totesys.transactions import OpenTransaction
from totesys_console.attention import Item, attention, next_after
from totesys_console.facts import Facts, LakeFacts, ServiceFacts
from totesys_console.run_cache import Listed
from totesys_console.stage_queues import NO_REASON, FailureReason, QueueState, reasons, remember
from totesys_console.stage_status import StageCard, stage_statuses
from totesys_console.view import Freshness, home_page
from totesys_console.visible_runs import Recent, Visible

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
EMPTY = QueueState(Depth(0, 0), Depth(0, 0))
DOWN = QueueState(fault="http://sqs/shop-load cannot be reached.", down=True)
RENAMED = "SchemaDrift: The source is not what the model declares: column staff.email_address is missing."


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def visible(minutes: float) -> Recent:
    return Recent((Visible(1, ago(minutes), True, ago(minutes)),))


def loaded(minutes: float) -> LakeFacts:
    """Run 1, which all stages did so many minutes ago."""
    states: dict[str, StageState] = {one: StageState(state="done", finished_at=ago(minutes)) for one in STAGES}
    run = RunDetail(run=1, trigger="schedule", snapshot_time=ago(minutes), complete=True, stages=states)
    return LakeFacts(1, (run,), (run,), visible(minutes))


def pending(stage: str, minutes: float, failure: Failure | None = None) -> LakeFacts:
    """Run 2, which `stage` could have started so many minutes ago."""
    done = [one for one in STAGES if STAGES.index(one) < [*STAGES].index(stage)]  # type: ignore[arg-type]
    states: dict[str, StageState] = {
        one: StageState(state="done", finished_at=ago(minutes))
        if one in done
        else StageState(state="failed" if one == stage and failure else "waiting", error=failure)
        for one in STAGES
    }
    run = RunDetail(run=2, trigger="schedule", snapshot_time=ago(minutes), complete=True, stages=states)
    records = ({"manifest.json": "x"} if stage == "load" else {}) | ({f"{stage}.failed.json": "x"} if failure else {})
    recent = Recent(visible(minutes).visible, (Listed(2, {"manifest.json": "x"}, records),))
    return LakeFacts(2, (run,), (run,), recent)


def failed(stage: str, *, transient: bool) -> Failure:
    return Failure(run=2, stage=stage, title="x", detail="It is gone.", transient=transient, failed_at=ago(1))


def dead(text: str, *minutes: float) -> QueueState:
    """A queue with dead letters of one reason, sent so many minutes ago."""
    times = tuple(sorted(ago(one) for one in minutes))
    return QueueState(Depth(0, 0), Depth(len(times), 0), (FailureReason(text, len(times), times),))


def facts(
    *,
    service: str = "ingest",
    lake: LakeFacts | None = None,
    lake_fault: str = "",
    own: ServiceFacts | None = None,
    **queues: QueueState,
) -> Facts:
    return Facts(
        service=service,
        now=NOW,
        lake=lake or loaded(5),
        lake_fault=lake_fault,
        queues=dict.fromkeys(STAGES, EMPTY) | queues,
        own=own or ServiceFacts(),
    )


def titles(seen: Facts) -> list[str]:
    return [item.what for item in attention(seen, stage_statuses(seen))]


def only(seen: Facts) -> Item:
    (item,) = attention(seen, stage_statuses(seen))
    return item


def status(seen: Facts, stage: str) -> StageCard:
    return next(one for one in stage_statuses(seen) if one.stage == stage)


def freshness(seen: Facts) -> Freshness:
    return home_page(seen).freshness


def test_nothing_needs_attention_where_nothing_is_wrong() -> None:
    assert titles(facts()) == []
    assert titles(Facts("ingest", NOW)) == [], "nothing has ever run"
    assert titles(facts(lake=pending("load", 1))) == [], "load has not had time yet"
    assert freshness(facts()).state == "kept"


def test_a_system_that_never_ran_is_neither_up_to_date_nor_fresh() -> None:
    new = facts(lake=LakeFacts())
    assert [(one.state, one.text) for one in stage_statuses(new)] == [
        ("new", "waits for the first tick"),
        ("new", "no run yet"),
        ("new", "no run yet"),
    ]
    assert (freshness(new).state, freshness(new).verdict) == ("none", "The warehouse is empty.")


def test_what_cannot_be_read_is_one_item_and_the_rest_is_shown() -> None:
    assert titles(facts(load=DOWN)) == ["The queue of load cannot be read"]
    all_down = facts(ingest=DOWN, transform=DOWN, load=DOWN)
    assert only(all_down).what == "The queues of ingest, transform and load cannot be read"
    assert only(all_down).why == (DOWN.fault,)
    assert [one.text for one in stage_statuses(all_down)] == ["unknown", "all runs done", "all runs done"]
    no_lake = facts(lake=LakeFacts(), lake_fault="s3://shop-ingest cannot be reached.")
    assert (only(no_lake).what, only(no_lake).why) == (
        "The lake cannot be read",
        ("s3://shop-ingest cannot be reached.",),
    )
    assert [one.text for one in stage_statuses(no_lake)] == ["waits for the next tick", "unknown", "unknown"]


def test_each_dependency_that_the_service_waits_for_is_named_once() -> None:
    waits = ServiceFacts(waits_for={"queue": "q", "lake": "l", "warehouse": "The warehouse does not answer."})
    seen = facts(service="load", own=waits, lake=pending("load", 20))
    assert titles(seen) == ["Load waits for the queue", "Load waits for the lake", "Load waits for the warehouse"]
    assert (status(seen, "load").state, status(seen, "transform").state) == ("blocked", "idle")
    known = facts(service="load", own=waits, lake=LakeFacts(), lake_fault="l", load=DOWN)
    assert titles(known) == [
        "The lake cannot be read",
        "The queue of load cannot be read",
        "Load waits for the warehouse",
    ]


def test_a_database_that_is_down_is_named_even_if_nothing_waits_for_it() -> None:
    fault = "The warehouse at w:5432/db does not answer."
    idle = facts(service="load", own=ServiceFacts(database="warehouse", database_fault=fault))
    assert (only(idle).what, only(idle).why) == ("The warehouse is unavailable", (fault,))
    assert (status(idle, "load").state, status(idle, "load").text) == ("blocked", "the warehouse is unavailable")
    assert freshness(idle).state == "risk"
    waiting = ServiceFacts(waits_for={"warehouse": fault}, database="warehouse", database_fault=fault)
    assert titles(facts(service="load", own=waiting)) == ["Load waits for the warehouse"]


def test_a_consumer_that_is_not_alive_is_named() -> None:
    assert only(facts(own=ServiceFacts(fault="the consumer has ended"))).what == "Ingest receives no messages"


def test_a_failure_says_what_happens_next() -> None:
    seen = facts(lake=pending("load", 20, failed("load", transient=False)))
    assert (only(seen).what, only(seen).why) == ("Load failed on run 2", ("02:59:00 UTC: It is gone.",))
    assert status(seen, "load").text == "stopped at run 2"
    again = facts(lake=seen.lake, load=QueueState(Depth(0, 1), Depth(0, 0)))
    assert status(again, "load").text == "retries run 2"
    assert "retries within minutes" in next_after(failed("load", transient=True))
    assert "No later run is loaded" in next_after(failed("load", transient=False))
    assert "load waits for this one" in next_after(failed("transform", transient=False))


def test_load_waits_for_transform_and_is_not_blamed() -> None:
    seen = facts(lake=pending("transform", 20))
    assert titles(seen) == ["Transform has not started run 2"]
    assert status(seen, "transform").text == "has waited for 20 min"
    assert status(seen, "load").text == "waits for transform"


def test_a_run_in_progress_is_not_late() -> None:
    assert titles(facts(lake=pending("load", 20), load=QueueState(Depth(0, 1), Depth(0, 0)))) == []


def test_an_old_warehouse_with_nothing_pending_points_to_ingest() -> None:
    assert titles(facts(lake=loaded(31))) == ["Ingest has committed no run since 02:29:00 UTC"]
    assert titles(facts(lake=loaded(31), ingest=QueueState(Depth(0, 1), Depth(0, 0)))) == [], "it is working"


def test_a_refused_source_is_grouped_under_its_reason_and_nothing_is_green_beside_it() -> None:
    refused = facts(lake=loaded(17), ingest=dead(RENAMED, 15, 10, 5))
    item = only(refused)
    assert (item.what, item.why) == ("Ingest failed 3 times since 02:45:00 UTC", (RENAMED,))
    assert (status(refused, "ingest").state, status(refused, "ingest").text) == ("failed", "the last extraction failed")
    assert (freshness(refused).state, freshness(refused).verdict) == ("risk", "no newer data is arriving")
    over = facts(lake=loaded(1), ingest=dead(RENAMED, 15, 10, 5))
    assert titles(over) == ["3 dead letters of ingest"], "a run has been committed since"
    assert freshness(over).state == "kept"


def test_a_first_extraction_that_is_refused_is_named_too() -> None:
    refused = facts(lake=LakeFacts(), ingest=dead(RENAMED, 5))
    assert titles(refused) == ["Ingest failed at 02:55:00 UTC"]
    assert status(refused, "ingest").state == "failed"


def test_only_what_came_after_the_newest_run_counts_as_its_failure() -> None:
    mixed = dead(RENAMED, 600, 500, 5)
    assert titles(facts(lake=loaded(7), ingest=mixed)) == ["Ingest failed at 02:55:00 UTC"]
    rubbish = dead("BadMessage: The message is neither an S3 event nor a trigger.", 1)
    assert titles(facts(ingest=rubbish)) == ["1 dead letter of ingest"]


def letter(number: int, reason: str | None, minutes: float) -> DeadLetter:
    return DeadLetter(str(number), "{}", "receipt", reason, ago(minutes))


def test_dead_letters_are_grouped_by_reason_the_newest_first() -> None:
    letters = [
        letter(1, "A: gone (tried 5 times)", 9),
        letter(2, "B: late", 3),
        letter(3, "A: gone (tried 4 times)", 7),
        letter(4, None, 8),
    ]
    assert reasons(letters, 7) == (
        FailureReason("B: late", 1, (ago(3),)),
        FailureReason("A: gone", 2, (ago(9), ago(7))),
        FailureReason(NO_REASON, 1, (ago(8),)),
    )
    assert reasons(letters[:1], 7) == (FailureReason("A: gone", 7, (ago(9),)),), "all known letters share it"
    assert reasons([], 7) == ()


def test_known_dead_letters_are_forgotten_once_some_are_gone() -> None:
    one, two, three = (letter(number, "A", number) for number in (1, 2, 3))
    assert remember({"1": one}, [two], 2) == {"1": one, "2": two}
    assert remember({"1": one, "2": two}, [three], 2) == {"3": three}
    assert remember({"1": one}, [], 0) == {}


def test_quarantined_rows_are_named_with_their_reasons() -> None:
    part = Part(key="x", rows=3, bytes=1, crc32="00000000")
    fault = {"paid_on is not a valid date": 2, "paid_on is NULL": 1}
    quarantine = {"fact_payment": QuarantinedTable(columns=(), parts=(part,), seconds=0, reasons=fault)}
    orphans = {"fact_loan": LoadedTable(rows=5, written=4, quarantined=1, seconds=0)}
    (run,) = loaded(5).newest
    run = run.model_copy(update={"quarantine": quarantine, "loaded": orphans})
    seen = facts(lake=LakeFacts(1, (run,), (run,), visible(5)))
    loan, payment = attention(seen, stage_statuses(seen))
    assert (loan.what, loan.why) == (
        "1 row of fact_loan in quarantine",
        ("1 × refers to a dimension row that has not arrived",),
    )
    assert (payment.what, payment.why) == (
        "3 rows of fact_payment in quarantine",
        ("2 × paid_on is not a valid date", "1 × paid_on is NULL"),
    )
    assert freshness(seen).state == "kept", "the other rows arrive"


def test_a_long_open_transaction_is_named_with_its_holder() -> None:
    for minutes, known in ((14, False), (16, True)):
        found = OpenTransaction(id=7, holder="session 5 of app in database crm", since=ago(5 + minutes))
        (run,) = loaded(5).newest
        newest = run.model_copy(update={"open_transaction": found})
        lake = LakeFacts(2, (newest,), (newest,), visible(5))
        if known:
            assert only(facts(lake=lake)).why == ("Its holder is session 5 of app in database crm.",)
        else:
            assert titles(facts(lake=lake)) == []


def test_what_stops_the_pipeline_comes_before_dead_letters() -> None:
    seen = facts(
        lake=pending("load", 1, failed("load", transient=False)), ingest=dead("A: x", 9, 8), load=dead("B: y", 9, 8)
    )
    assert titles(seen) == ["Load failed on run 2", "2 dead letters of ingest", "2 dead letters of load"]
