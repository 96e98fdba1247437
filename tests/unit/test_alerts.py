"""Each problem is told once when it begins and once when it ends, whatever changes about it meanwhile."""

from dataclasses import replace

import pytest

from tests.unit.test_console_attention import ago, dead, facts, failed, pending
from totesys.service.queue import Depth
from totesys_console.alert_decisions import begun_text, changes, problem_of, problems
from totesys_console.attention import Item
from totesys_console.facts import Facts, ServiceFacts
from totesys_console.stage_queues import QueueState

QUIET = facts(service="load")


def at(minutes: float, given: Facts) -> Facts:
    return replace(given, now=ago(-minutes))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (facts(service="load", load=dead("It broke.", 1)), facts(service="load", load=dead("It broke.", 1, 2, 3))),
        (facts(service="load", ingest=dead("Renamed.", 1)), facts(service="load", ingest=dead("Renamed.", 1, 2, 3))),
        (
            facts(service="load", lake=pending("load", 30, failed("load", transient=False))),
            at(60, facts(service="load", lake=pending("load", 30, failed("load", transient=False)))),
        ),
        (
            facts(service="load", lake=pending("transform", 60)),
            at(99, facts(service="load", lake=pending("transform", 60))),
        ),
    ],
    ids=["dead letters", "refusals", "a failed run", "a late stage"],
)
def test_a_problem_stays_the_same_while_its_counts_and_times_change(before: Facts, after: Facts) -> None:
    assert problems(before).keys() == problems(after).keys() != set()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1 dead letter of load", "dead letter of load"),
        ("1,200 dead letters of load", "dead letter of load"),
        ("3 rows of fact_payment in quarantine", "row of fact_payment in quarantine"),
        ("Ingest failed at 02:10 UTC", "Ingest failed"),
        ("Ingest failed 10 times since 02:10 UTC", "Ingest failed"),
        ("Load failed on run 7", "Load failed"),
        ("Ingest has committed no run yet", "Ingest has committed no run"),
        ("Ingest has committed no run since 02:10 UTC", "Ingest has committed no run"),
        ("The lake cannot be read", "The lake cannot be read"),
    ],
)
def test_a_problem_is_its_text_without_what_varies(text: str, problem: str) -> None:
    assert problem_of(text) == problem


def test_a_problem_is_told_when_two_looks_find_it_and_ended_when_two_do_not() -> None:
    found = problems(facts(service="load", load=dead("It broke.", 1)))
    (problem, item), told = *found.items(), dict[str, str]()
    steps = []
    before: set[str] = set()
    for now in (found, {}, found, found, found, {}, found, {}, {}):
        step = changes(told, now, before)
        steps.append((list(step.begun), list(step.ended)))
        told = {key: text for key, text in told.items() if key not in step.ended}
        told |= {key: new.what for key, new in step.begun.items()}
        before = set(now)
    nothing: tuple[list[str], list[str]] = ([], [])
    assert steps == [*[nothing] * 3, ([problem], []), *[nothing] * 4, ([], [problem])]
    assert item.what == "1 dead letter of load"


def test_only_load_reports_what_every_service_sees() -> None:
    waits = {"source": "The source cannot be reached.", "lake": "S3 cannot be reached."}
    own = ServiceFacts(waits_for=waits, database="source", failure="x")

    def of(service: str, own: ServiceFacts) -> set[str]:
        letters = QueueState(Depth(0, 0), Depth(3, 0))
        return {*problems(facts(service=service, own=own, load=letters, transform=dead("x", 1)))}

    assert of("ingest", own) == {"Ingest waits for the source"}
    assert of("ingest", ServiceFacts()) == of("transform", ServiceFacts()) == set()
    assert of("load", ServiceFacts()) == {"dead letter of load", "dead letter of transform"}


def test_a_message_shows_text_of_the_source_as_text() -> None:
    text = begun_text("load", Item("<!channel> & more", ("<http://x|y>",), "Fix it."))
    assert text.splitlines() == [
        ":red_circle: *&lt;!channel&gt; &amp; more*",
        "&lt;http://x|y&gt;",
        "Fix it.",
        "Reported by load.",
    ]
