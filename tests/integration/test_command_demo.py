"""The commands that need no company of one's own: demo, simulate and help."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Command, Companies, rows
from totesys.model import MODEL
from totesys_cli.local.reachable import ReachablePostgres


@pytest.fixture
def totesys(tmp_path: Path) -> Iterator[Command]:
    with Command.that_leaves_nothing(tmp_path) as command:
        yield command


def test_the_demo_loads_changes_and_finds_every_table_equal(tmp_path: Path) -> None:
    """Started as users start it: nothing is preloaded, neither the command nor the services."""
    with Command.that_leaves_nothing(tmp_path, fresh=True) as totesys:
        ended = totesys("demo", "--once", "--seed", "3")
    assert ended.code == 0, ended.words
    said = ended.words[ended.words.index("The company wrote") :]
    for table in MODEL.tables:
        compared, equal, *wrong = re.search(rf"{table.name} +([\d,]+) +([\d,]+) +(\d+) +(\d+) +(\d+)", said).groups()  # type: ignore[union-attr]
        assert compared == equal != "0", table.name
        assert wrong[:3] == ["0", "0", "0"], table.name
    assert "equals the source" in said


@pytest.mark.long
def test_the_demo_tells_programs_the_same_as_an_object_a_line(totesys: Command) -> None:
    ended = totesys("demo", "--once", "--seed", "3", "--json")
    assert ended.code == 0, ended.words
    told = {line["event"]: line for line in map(json.loads, ended.out.splitlines())}
    assert {"source_filled", "run", "look_inside", "simulation_completed", "verification"} <= told.keys()
    assert sum(told["source_filled"]["rows"].values()) > 40_000
    assert told["verification"]["equal"] is True


def test_the_demo_ends_in_order_while_the_company_writes(totesys: Command) -> None:
    with totesys.started("demo", "--rate", "2000") as process:
        assert process.stdout is not None
        # A tick's load after that line: the company is at work.
        for sign in ("the company writes", "  load "):
            assert any(sign in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, "Traceback" in err) == (0, False), err


async def test_simulate_says_what_it_has_written(postgres: ReachablePostgres, totesys: Command) -> None:
    company = await (await Companies.of(postgres, scale=0.01)).make()
    before = await rows(company.source_owner, "SELECT max(xmin::text::bigint) FROM sales_order")
    ended = totesys("simulate", "--source", company.source_owner, "--seconds", "1", "--rate", "200", "--json")
    assert ended.code == 0, ended.words
    # Without a terminal the first commit is told, too.
    assert re.search(r"s  [\d,]+ new and [\d,]+ changed rows in [\d,]+ transactions, .* rows/s", ended.err)
    written = json.loads(ended.out)
    new = "SELECT count(*) FROM {} WHERE xmin::text::bigint > $1"
    changed = [await rows(company.source_owner, new.format(t.name), before[0][0]) for t in MODEL.sources]
    assert (
        0
        < sum(found[0][0] for found in changed)
        <= sum(written["inserted"].values()) + sum(written["updated"].values())
    )


async def test_a_simulation_that_is_stopped_says_what_it_has_written(
    postgres: ReachablePostgres, totesys: Command
) -> None:
    company = await (await Companies.of(postgres, scale=0.01)).make()
    with totesys.started("simulate", "--source", company.source_owner, "--rate", "200") as process:
        assert process.stderr is not None
        assert "rows/s" in process.stderr.readline()
        process.terminate()
        out, _ = process.communicate()
    assert (process.returncode, out.startswith("Written: ")) == (0, True)


@pytest.mark.parametrize("command", ["", "run", "demo", "simulate", "verify"])
def test_help_says_what_a_command_does(command: str, totesys: Command) -> None:
    ended = totesys(*command.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert f"Usage: totesys {command}" in ended.words
