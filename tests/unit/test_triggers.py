"""Any message is parsed as a trigger, ignored, or refused with its fault."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from totesys.errors import BadMessage
from totesys.triggers import ExtractTrigger, RunsTrigger, Trigger, parse_message

S3_EVENT = {
    "Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "runs/run%3D00000001/manifest.json"}}}]
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
FIELDS = st.sampled_from(["run", "from_run", "to_run", "mode", "trigger", "Event", "Records", "\ud800"])
KINDS = st.sampled_from([ExtractTrigger, RunsTrigger])


def parse(content: object, kind: type[Trigger]) -> Trigger | None:
    return parse_message(json.dumps(content), kind)


def test_an_s3_event_asks_for_what_is_pending() -> None:
    assert parse(S3_EVENT, RunsTrigger) == RunsTrigger()
    assert parse(S3_EVENT, ExtractTrigger) == ExtractTrigger()


def test_s3s_test_event_asks_for_nothing() -> None:
    assert parse({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}, RunsTrigger) is None


def test_a_trigger_is_read_back_as_it_was_sent() -> None:
    for sent in (
        ExtractTrigger(mode="full", trigger="schedule"),
        RunsTrigger(run=42),
        RunsTrigger(from_run=1, to_run=42),
    ):
        assert parse_message(sent.model_dump_json(exclude_none=True), type(sent)) == sent


def test_runs_to_replay_are_a_range() -> None:
    assert RunsTrigger().to_replay is None
    assert RunsTrigger(run=7).to_replay == (7, 7)
    assert RunsTrigger(from_run=3, to_run=9).to_replay == (3, 9)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "Expecting value"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('{"run": 0}', "run"),
        ('{"run": 100000000}', "run"),
        ('{"run": 1, "to_run": 2}', "either run, or"),
        ('{"from_run": 1}', "go together"),
        ('{"from_run": 2, "to_run": 1}', "after to_run"),
        ('{"runn": 1}', "runn"),
        ("[" * 100_000, "nested"),
        ('{"run": ' + "9" * 5_000 + "}", "digits"),
    ],
)
def test_a_message_that_no_service_sends_is_refused_with_its_fault(body: str, reason: str) -> None:
    with pytest.raises(BadMessage, match=reason):
        parse_message(body, RunsTrigger)


@examples(500)
@given(body=st.text() | JSON.map(json.dumps) | st.dictionaries(FIELDS, JSON, max_size=3).map(json.dumps), kind=KINDS)
def test_no_text_raises_anything_but_bad_message(body: str, kind: type[Trigger]) -> None:
    try:
        found = parse_message(body, kind)
    except BadMessage as error:
        # The reason travels with the message to the dead-letter queue.
        str(error).encode()
    else:
        assert found is None or isinstance(found, kind)


@pytest.mark.parametrize(
    "trigger", ["", "x" * 101, "two\nlines", "\x1b[2J", "\x00", "\u202egnp.exe", "naïve", "\t", "a\x7f"]
)
def test_a_trigger_name_is_one_printable_line(trigger: str) -> None:
    with pytest.raises(BadMessage, match="trigger"):
        parse_message(json.dumps({"trigger": trigger}), ExtractTrigger)


@pytest.mark.parametrize("trigger", ["manual", "command 0e8d7c6a-1", "x" * 100, "by hand: <Ann & Bob>"])
def test_any_other_trigger_name_is_kept(trigger: str) -> None:
    wakeup = parse_message(json.dumps({"trigger": trigger}), ExtractTrigger)
    assert wakeup is not None
    assert wakeup.trigger == trigger
