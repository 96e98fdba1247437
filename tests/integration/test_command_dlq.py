"""`totesys dlq`: dead letters are seen, sent back and deleted, none is lost, and no call goes on for ever."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Command, eventually
from tests.dead_letters import Plane, meanwhile
from totesys.stage_names import STAGES
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane

BODIES = ['{"run": 42}', "rubbish", " [red]Åbo[/red]\n\t", '{"Records": [1, 2]}', "x" * 100_000]


@pytest.fixture
def plane(tmp_path: Path, emulator: Emulator, data_plane: LocalDataPlane) -> Iterator[Plane]:
    for service in STAGES:
        # S3 has sent its test event.
        emulator.sqs.purge_queue(QueueUrl=getattr(data_plane, f"{service}_queue_url"))
    with Command.that_leaves_nothing(tmp_path) as totesys:
        yield Plane(totesys, emulator, data_plane)


async def test_what_a_service_gave_up_is_shown_with_its_reason(plane: Plane) -> None:
    first = await plane.give_up("load", '{"run":42,"why":"[x]"}', "BadMessage: [y] is no run")
    await plane.give_up("ingest", "rubbish", "BadMessage: rubbish")
    said, machine = plane.dlq("list"), plane.dlq("list", "load", "--json")
    assert said.code == machine.code == 0, said.err
    (letter,) = json.loads(machine.out)
    assert (letter["stage"], letter["message_id"], letter["receives"]) == ("load", first, 1)
    assert (letter["body"], letter["reason"]) == ('{"run":42,"why":"[x]"}', "BadMessage: [y] is no run")
    for words in (letter["id"][:8], letter["sent"][:10], letter["reason"], letter["body"], "BadMessage: rubbish"):
        assert words in said.words
    for name in (letter["id"], letter["id"][:6], first):
        shown = plane.dlq("show", "load", name)
        assert shown.code == 0, shown.err
        assert '{\n  "run": 42,\n  "why": "[x]"\n}' in shown.out
        for words in (letter["id"], first, letter["reason"], "SentTimestamp"):
            assert words in shown.out
    whole = json.loads(plane.dlq("show", "load", letter["id"], "--json").out)
    assert {**whole, "receives": 0, "attributes": {}} == {**letter, "receives": 0, "attributes": {}}
    assert whole["attributes"]["reason"] == letter["reason"]


def test_what_sqs_moved_is_shown_without_a_reason(plane: Plane) -> None:
    plane.receive_too_often("transform", "never done")
    assert "none: SQS moved it" in plane.dlq("list").words
    (letter,) = json.loads(plane.dlq("list", "--json").out)
    assert (letter["stage"], letter["body"], letter["reason"]) == ("transform", "never done", None)
    assert letter["receives"] >= plane.most_receives("transform")


def test_where_there_are_none_it_says_so(plane: Plane) -> None:
    ended = plane.dlq("list")
    assert (ended.code, ended.words) == (0, "ingest, transform, load: no dead letters.")
    assert json.loads(plane.dlq("list", "--json").out) == []
    assert "0 messages redriven" in plane.dlq("redrive").words
    assert "0 messages deleted" in plane.dlq("purge").words


def test_all_queues_are_received_at_the_same_time(plane: Plane) -> None:
    for stage in STAGES:
        plane.fill(stage, [str(body) for body in range(1000)])
    with plane.started("list", "--limit", "1000") as process:
        eventually(lambda: plane.hidden("load"))
        assert plane.hidden("ingest") < 1000
        process.communicate()
    assert process.returncode == 0


def test_looking_leaves_all_to_others_at_once(plane: Plane) -> None:
    plane.fill("ingest", BODIES)
    id_ = json.loads(plane.dlq("list", "--json").out)[2]["id"]
    assert plane.are_visible("ingest")
    assert plane.dlq("show", "ingest", id_).code == 0
    assert plane.are_visible("ingest")
    assert plane.bodies("ingest") == Counter(BODIES)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["list", "purge"])
def test_an_interrupted_call_leaves_all_to_others_at_once(command: str, number: int, plane: Plane) -> None:
    plane.fill("ingest", [str(body) for body in range(100)])
    with plane.started(command) as process:
        # It goes on looking at the other two queues; purge then waits for an answer.
        eventually(lambda: plane.hidden("ingest") > 0)
        process.send_signal(number)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (130, "")
    assert plane.are_visible("ingest")
    assert len(plane.messages("ingest")) == 100


def test_what_is_sent_back_comes_to_the_service_as_it_was(plane: Plane) -> None:
    for stage in STAGES:
        plane.fill(stage, [f"{stage}{body}" for body in BODIES])
    ended = plane.dlq("redrive", "load")
    assert (ended.code, ended.words) == (0, "5 messages (load 5) redriven.")
    assert [len(plane.messages(stage)) for stage in STAGES] == [5, 5, 0]
    assert "10 messages (ingest 5, transform 5) redriven." in plane.dlq("redrive").words
    for stage in STAGES:
        received: Counter[str] = Counter()
        while received.total() < len(BODIES):
            answer = plane.emulator.sqs.receive_message(
                QueueUrl=plane.url(stage, "queue"), WaitTimeSeconds=20, VisibilityTimeout=600
            )
            received.update(message["Body"] for message in answer["Messages"])
        assert received == Counter(f"{stage}{body}" for body in BODIES)
        assert plane.messages(stage) == []


@pytest.mark.parametrize("command", [("redrive",), ("purge", "--yes")], ids=lambda command: command[0])
def test_only_the_messages_that_are_named_are_touched(command: tuple[str, ...], plane: Plane) -> None:
    plane.fill("ingest", BODIES)
    plane.fill("load", BODIES)
    letters = json.loads(plane.dlq("list", "--json").out)
    named = [letters[0], letters[3], letters[7]]
    ended = plane.dlq(*command, *(option for letter in named for option in ("--id", letter["id"])))
    assert "3 messages (ingest 2, load 1)" in ended.words
    left = {letter["id"] for letter in letters} - {letter["id"] for letter in named}
    assert {message["MessageId"] for stage in STAGES for message in plane.messages(stage)} == left
    assert plane.are_visible("ingest")
    assert plane.are_visible("load")


@pytest.mark.parametrize("sent", [0, 1, 77])
def test_no_message_is_lost_when_it_is_killed_while_it_sends_back(sent: int, plane: Plane) -> None:
    bodies = Counter(str(body) for body in range(200))
    plane.fill("ingest", list(bodies))
    with plane.started("redrive", "ingest") as process:
        eventually(lambda: plane.hidden("ingest") and len(plane.messages("ingest", "queue")) >= sent)
        process.kill()
    assert plane.bodies("ingest").keys() | plane.bodies("ingest", "queue").keys() == bodies.keys()
    if held := plane.hidden("ingest"):
        assert f"hides about {held} more" in plane.dlq("list").words


def test_what_fails_again_at_once_is_not_sent_back_twice(plane: Plane) -> None:
    plane.fill("transform", [str(body) for body in range(50)])

    def fail_again() -> None:
        queue = plane.url("transform", "queue")
        answer = plane.emulator.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            plane.fill("transform", [message["Body"]])
            plane.emulator.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    with meanwhile(fail_again):
        ended = plane.dlq("redrive", "--limit", "100000")
    assert "50 messages (transform 50) redriven." in ended.words
    assert plane.bodies("transform") + plane.bodies("transform", "queue") == Counter(str(n) for n in range(50))


def test_a_queue_that_goes_on_filling_is_not_chased(plane: Plane) -> None:
    plane.fill("load", BODIES)
    # Any message in a second is enough for whoever waits for an empty answer to wait for ever.
    with meanwhile(lambda: plane.fill("load", ["later"])):
        ended = plane.dlq("list", "load", "--json", "--limit", "1000000")
    assert ended.code == 0, ended.err
    seen = Counter(letter["body"] for letter in json.loads(ended.out))
    assert Counter(BODIES) <= seen
    assert seen["later"] < plane.bodies("load")["later"]
    assert plane.are_visible("load")


def test_no_more_than_the_limit_is_taken_of_a_queue(plane: Plane) -> None:
    for stage in ("ingest", "load"):
        plane.fill(stage, [str(body) for body in range(25)])
    listed = plane.dlq("list", "--json", "--limit", "12")
    assert Counter(letter["stage"] for letter in json.loads(listed.out)) == {"ingest": 12, "load": 12}
    assert "load: --limit 12 is reached; there may be more." in listed.err
    assert "24 messages (ingest 12, load 12) redriven." in plane.dlq("redrive", "--limit", "12").words
    assert "13 messages (ingest 13) deleted." in plane.dlq("purge", "ingest", "--yes", "--limit", "13").words
    assert [len(plane.messages(stage)) for stage in STAGES] == [0, 0, 13]


def test_an_id_that_means_no_message_or_several_is_refused(plane: Plane) -> None:
    # More messages than there are first digits.
    plane.fill("ingest", [str(body) for body in range(17)])
    digits = Counter(message["MessageId"][0] for message in plane.messages("ingest"))
    for id_, words in (
        (digits.most_common(1)[0][0], "Write more of the id"),
        ("no-such-id", "No dead letter has an id that begins with 'no-such-id'"),
        ("", "No dead letter"),
    ):
        for call in (
            ("show", "ingest", id_),
            ("redrive", "ingest", "--id", id_),
            ("purge", "ingest", "--yes", "--id", id_),
        ):
            ended = plane.dlq(*call)
            assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
            assert words in ended.err
    assert len(plane.messages("ingest")) == 17
    assert plane.are_visible("ingest")


def test_what_was_done_is_printed_as_json(plane: Plane) -> None:
    plane.fill("load", BODIES)
    done = {"messages": len(BODIES), "stages": {"load": len(BODIES)}}
    assert json.loads(plane.dlq("redrive", "load", "--json").out) == done
    plane.fill("load", BODIES)
    ended = plane.dlq("purge", "--json", answer="y\n")
    assert (json.loads(ended.out), "Delete them for good?" in ended.err) == (done, True)


def test_purge_deletes_only_after_a_yes(plane: Plane) -> None:
    plane.fill("ingest", BODIES)
    for answer, code, words in (("n\n", 0, "Nothing was deleted."), ("\n", 0, "Nothing was"), ("", 2, "Pass --yes")):
        ended = plane.dlq("purge", "ingest", answer=answer)
        assert (ended.code, words in ended.words) == (code, True), ended.words
        assert plane.bodies("ingest") == Counter(BODIES)
        assert plane.are_visible("ingest")
    assert "rubbish" in ended.out
    assert "5 messages (ingest 5) deleted." in plane.dlq("purge", "ingest", answer="y\n").words
    assert plane.messages("ingest") == []


def test_a_message_that_is_gone_meanwhile_does_not_keep_the_others(plane: Plane) -> None:
    plane.fill("ingest", ["gone"])
    plane.fill("load", BODIES)
    with plane.started("purge") as process:
        assert process.stdout is not None
        asked = ""
        while "for good?" not in asked:
            asked += process.stdout.read(1)
        plane.emulator.sqs.purge_queue(QueueUrl=plane.url("ingest"))
        plane.fill("ingest", ["unseen"])
        out, err = process.communicate("y\n")
    assert process.returncode == 0
    assert "5 messages (load 5) deleted." in out
    assert "1 more were gone" in err
    assert (plane.bodies("ingest"), plane.messages("load")) == ({"unseen": 1}, [])
