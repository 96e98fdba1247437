"""What is wrong is said first, each thing once, with what happens next; and nothing is said where nothing is wrong."""

from datetime import UTC, datetime, timedelta

from totesys.lake.records import Failure
from totesys.service.queue import Depth
from totesys.service.runs import RunDetail, StageState
from totesys.stage_names import STAGES
from totesys.transactions import OpenTransaction
from totesys_console.attention import Problem, next_after, problems
from totesys_console.facts import ConsumerFacts, Facts, LakeFacts
from totesys_console.run_cache import Listed
from totesys_console.stage_queues import QueueState
from totesys_console.stage_status import StageView, stage_views
from totesys_console.visible_runs import Recent, Visible

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
EMPTY = QueueState(Depth(0, 0), Depth(0, 0))
DOWN = QueueState(fault="http://sqs/shop-load cannot be reached.", down=True)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def visible(minutes: float) -> Recent:
    return Recent((Visible(1, ago(minutes), True, ago(minutes)),))


def undone(stage: str, minutes: float, failure: Failure | None = None) -> LakeFacts:
    """Run 2, which `stage` could do since so many minutes."""
    done = STAGES[: STAGES.index(stage)]
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


def facts(
    *,
    service: str = "ingest",
    lake: LakeFacts | None = None,
    lake_fault: str = "",
    own: ConsumerFacts | None = None,
    **queues: QueueState,
) -> Facts:
    return Facts(
        service=service,
        now=NOW,
        lake=lake or LakeFacts(recent=visible(5)),
        lake_fault=lake_fault,
        queues=dict.fromkeys(STAGES, EMPTY) | queues,
        own=own or ConsumerFacts(),
    )


def said(seen: Facts) -> list[str]:
    return [problem.what for problem in problems(seen, stage_views(seen))]


def only(seen: Facts) -> Problem:
    (problem,) = problems(seen, stage_views(seen))
    return problem


def stage(seen: Facts, name: str) -> StageView:
    return next(view for view in stage_views(seen) if view.stage == name)


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    assert said(facts()) == []
    assert said(Facts("ingest", NOW)) == [], "nothing has ever been done"
    assert said(facts(lake=undone("load", 1))) == [], "it has not had time yet"


def test_what_cannot_be_asked_is_one_problem_and_all_else_is_as_it_is() -> None:
    assert said(facts(load=DOWN)) == ["The queue of load cannot be asked"]
    all_down = facts(ingest=DOWN, transform=DOWN, load=DOWN)
    assert only(all_down).what == "The queues of ingest, transform and load cannot be asked"
    assert only(all_down).why == DOWN.fault
    assert [view.says for view in stage_views(all_down)] == ["not known", "up to date", "up to date"]
    no_lake = facts(lake=LakeFacts(), lake_fault="s3://shop-ingest cannot be reached.")
    assert (only(no_lake).what, only(no_lake).why) == ("The lake cannot be read", "s3://shop-ingest cannot be reached.")
    assert [view.says for view in stage_views(no_lake)] == ["waiting for the next tick", "not known", "not known"]


def test_what_this_service_waits_for_is_said_unless_it_is_said_already() -> None:
    waits = ConsumerFacts(waits_for={"queue": "q", "lake": "l", "warehouse": "The warehouse does not answer."})
    seen = facts(service="load", own=waits, lake=undone("load", 20))
    assert said(seen) == ["Load waits for the queue", "Load waits for the lake", "Load waits for the warehouse"]
    assert (stage(seen, "load").state, stage(seen, "transform").state) == ("blocked", "idle")
    told = facts(service="load", own=waits, lake=LakeFacts(), lake_fault="l", load=DOWN)
    assert said(told) == [
        "The lake cannot be read",
        "The queue of load cannot be asked",
        "Load waits for the warehouse",
    ]


def test_a_consumer_that_is_not_alive_is_said() -> None:
    assert only(facts(own=ConsumerFacts(fault="the consumer has ended"))).what == "Ingest takes no messages"


def test_a_failure_says_what_happens_next() -> None:
    seen = facts(lake=undone("load", 20, failed("load", transient=False)))
    assert (only(seen).what, only(seen).why) == ("Load has failed at run 2", "02:59:00 UTC: It is gone.")
    assert stage(seen, "load").says == "stopped at run 2"
    again = facts(lake=seen.lake, load=QueueState(Depth(0, 1), Depth(0, 0)))
    assert stage(again, "load").says == "tries run 2 again"
    assert "tries again, after some minutes" in next_after(failed("load", transient=True))
    assert "no later run is loaded" in next_after(failed("load", transient=False))
    assert "load waits for this one" in next_after(failed("transform", transient=False))


def test_load_waits_for_transform_and_is_not_blamed() -> None:
    seen = facts(lake=undone("transform", 20))
    assert said(seen) == ["Transform has not begun run 2"]
    assert stage(seen, "transform").says == "has waited for 20 min"
    assert stage(seen, "load").says == "waits for transform"


def test_what_is_in_hand_is_not_late() -> None:
    assert said(facts(lake=undone("load", 20), load=QueueState(Depth(0, 1), Depth(0, 0)))) == []


def test_an_old_warehouse_with_nothing_undone_is_ingests_matter() -> None:
    old = LakeFacts(recent=visible(31))
    assert said(facts(lake=old)) == ["Ingest has committed no run since 02:29:00 UTC"]
    assert said(facts(lake=old, ingest=QueueState(Depth(0, 1), Depth(0, 0)))) == [], "it is at work"


def test_a_transaction_that_was_perhaps_forgotten_is_said_with_its_holder() -> None:
    for minutes, known in ((14, False), (16, True)):
        found = OpenTransaction(id=7, holder="session 5 of app in database crm", since=ago(5 + minutes))
        (run,) = undone("transform", 5).newest
        newest = run.model_copy(update={"stages": {}, "open_transaction": found})
        lake = LakeFacts(2, (newest,), (newest,), visible(5))
        if known:
            assert only(facts(lake=lake)).why == "It is held by session 5 of app in database crm."
        else:
            assert said(facts(lake=lake)) == []


def test_what_stands_still_comes_before_dead_letters() -> None:
    dead = QueueState(Depth(0, 0), Depth(2, 0))
    seen = facts(lake=undone("load", 20, failed("load", transient=False)), ingest=dead, load=dead)
    assert said(seen) == ["Load has failed at run 2", "2 dead letters of ingest", "2 dead letters of load"]
