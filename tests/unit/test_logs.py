"""A log record is one JSON object per line; its metrics are in CloudWatch's embedded metric format."""

import json
import logging
import sys
from collections import Counter
from subprocess import PIPE, Popen
from typing import Any

import pytest

from totesys.log_events import LogEvent
from totesys.logs import MOST_OF_OTHERS, MOST_OF_OURS, configure_logs, logger, metrics

pytestmark = pytest.mark.usefixtures("logs_left_as_they_were")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_metrics_are_well_formed() -> None:
    fields = metrics("load", Freshness=1.5, RowsWritten=3)
    metadata = fields["_aws"]
    assert set(metadata) == {"Timestamp", "CloudWatchMetrics"}
    assert isinstance(metadata["Timestamp"], int)
    [directive] = metadata["CloudWatchMetrics"]
    assert directive == {
        "Dimensions": [["stage"]],
        "Metrics": [{"Name": "Freshness", "Unit": "Seconds"}, {"Name": "RowsWritten", "Unit": "Count"}],
    }
    # Each name in the directive is a member of the line's root.
    assert all(isinstance(fields[name], str) for name in directive["Dimensions"][0])
    assert all(isinstance(fields[metric["Name"]], int | float) for metric in directive["Metrics"])
    assert json.loads(json.dumps(fields)) == fields


def test_a_line_carries_its_metrics_at_its_root(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("ingest", "shop")
    fields = metrics("load", Freshness=1.5)
    logger("totesys.load").info(LogEvent.RUN_COMPLETED, run=7, **fields)
    [line] = lines(capsys)
    assert (line["Freshness"], line["stage"]) == (1.5, "load")
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive == {"Namespace": "shop", **fields["_aws"]["CloudWatchMetrics"][0]}
    assert (line["event"], line["run"], line["level"], line["service"]) == (LogEvent.RUN_COMPLETED, 7, "info", "ingest")


def test_every_log_record_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("ingest")
    logger("totesys.load").info("two\nlines", text="\n\r\u2028 \ud800", thing=object())
    [line] = lines(capsys)
    assert line["event"] == "two\nlines"


def test_an_error_is_logged_with_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("ingest")
    try:
        raise ValueError("broken")
    except ValueError as error:
        logger("totesys.load").error("failed", exc_info=error)
    [line] = lines(capsys)
    assert "ValueError: broken" in line["exception"]


def test_libraries_log_only_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("ingest")
    logging.getLogger("botocore").info("chatter")
    logging.getLogger("botocore").warning("beware of %s", "this")
    [line] = lines(capsys)
    assert (line["event"], line["level"]) == ("beware of this", "warning")


def test_a_service_ignores_that_its_log_reader_is_gone() -> None:
    script = "from totesys.logs import *; configure_logs('load'); input(); logger('totesys').info('service_stopped')"
    process = Popen([sys.executable, "-c", script], stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(b"\n")
    assert b"Logging error" not in errors


def test_a_flood_of_one_kind_is_limited_and_hides_no_other_kind(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("test")
    for number in range(1_000):
        logging.getLogger("asyncio").error(f"socket.accept() out of system resource\nsocket: {number}")
        logger("totesys.test").warning("knocked", number=number)
        logger("totesys.test").info("done", number=number)
        logger("totesys.test").warning("counted", **metrics("load", RowsWritten=number))
    logging.getLogger("asyncio").error("another kind")
    said = Counter(json.loads(line)["event"].partition("\n")[0] for line in capsys.readouterr().out.splitlines())
    assert said == {
        "socket.accept() out of system resource": MOST_OF_OTHERS,
        "knocked": MOST_OF_OURS,
        "done": 1_000,
        "counted": 1_000,
        "another kind": 1,
    }


def test_dropped_lines_are_counted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logs("test")
    for _ in range(MOST_OF_OURS + 7):
        logger("totesys.test").warning("knocked")
    for _ in range(MOST_OF_OTHERS + 3):
        logging.getLogger("asyncio").error("%s", "full")
    capsys.readouterr()
    monkeypatch.setattr("totesys.logs.WINDOW_SECONDS", 0.0)
    logger("totesys.test").warning("knocked")
    logging.getLogger("asyncio").error("%s", "full")
    ours, other = map(json.loads, capsys.readouterr().out.splitlines())
    assert ours["left_out"] == 7
    assert other["event"] == "full (3 lines of this kind were dropped)"
