"""The recording that the README shows: what a terminal printed, without long pauses and names that say nothing."""

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from website.recording import COLUMNS, LONGEST_PAUSE_S, ROWS, cast, record

IMAGES = Path(__file__).parents[2] / "docs" / "images"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
SIZE = "import os; size = os.get_terminal_size(); print(size.columns, size.lines, os.isatty(0), flush=True)"


def test_a_command_is_recorded_in_a_terminal_of_the_given_size() -> None:
    events = list(record([sys.executable, "-c", SIZE]))
    assert "".join(text for _, text in events) == f"{COLUMNS} {ROWS} True\r\n"
    assert all(seconds >= 0 for seconds, _ in events)


def test_a_command_that_fails_leaves_no_recording() -> None:
    with pytest.raises(SystemExit, match="ended with 3: nothing was recorded"):
        list(record([sys.executable, "-c", "raise SystemExit(3)"]))


def test_long_pauses_are_cut_and_temporary_names_left_out() -> None:
    events = [(0.5, "a"), (60.5, "in /tmp/totesys-postgres-x1_y/pgpass\r\n"), (61.0, "é\x1b[0m")]
    header, typed, *printed = (json.loads(line) for line in cast(["make", "demo"], events).splitlines())
    assert header == {"version": 2, "width": COLUMNS, "height": ROWS, "title": "make demo"}
    assert ESCAPES.sub("", typed[2]) == "$ make demo\r\n"
    assert [line[0] for line in printed] == [0.5, 0.5 + LONGEST_PAUSE_S, 1 + LONGEST_PAUSE_S]
    assert printed[1][2] == "in /tmp/totesys-postgres-…/pgpass\r\n"


def test_the_recording_of_the_readme_ends_with_an_equal_warehouse() -> None:
    header, *events = (json.loads(line) for line in (IMAGES / "demo.cast").read_text(encoding="utf-8").splitlines())
    assert (header["version"], header["title"]) == (2, "make demo ONCE=1")
    text = ESCAPES.sub("", "".join(event[2] for event in events))
    assert text.rstrip().splitlines()[-1].startswith("The warehouse equals the source: ")
    assert [event[0] for event in events] == sorted(event[0] for event in events)
    drawn = "".join(ElementTree.parse(IMAGES / "demo.svg").getroot().itertext())
    shown = drawn.replace("\N{NO-BREAK SPACE}", " ")
    assert text.rstrip().splitlines()[-1] in shown
    assert set(re.findall(r"(?<![\w:/])/[\w.-]+/[\w.-]*", text + shown)) <= {"/tmp/totesys-postgres-"}
