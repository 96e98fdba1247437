"""The commands that need no company of one's own: demo, simulate and help."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.command import Command, Companies, rows
from totesys.model import MODEL
from totesys_cli.local.reachable import ReachablePostgres
from totesys_cli.options import DemoFault

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text(encoding="utf-8")
FAULTS = get_args(DemoFault)
WORDS = {
    "drift": "column staff.email_address is missing (email is not declared: renamed?)",
    "outage": "not currently accepting connections",
    "poison": "There is no run 99999999",
}


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


def statements(fault: str) -> list[str]:
    """The SQL that docs/runbook.md has for a fault of the demo, on the source."""
    section = RUNBOOK.partition(f"### {fault.capitalize()}")[2].partition("\n### ")[0].partition("\n## ")[0]
    return re.findall(r'psql "\$SOURCE" -c "([^"]+)"', section)


def with_password(inside: dict[str, Any]) -> str:
    """The DSN of the demo's source."""
    assert Path(inside["log"]).stat().st_size > 0
    password = Path(inside["passfile"]).read_text().rpartition(":")[2].strip()
    return str(inside["source"].replace("@", f":{password}@", 1))


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=[] if name == "drift" else pytest.mark.long) for name in FAULTS]
)
async def test_the_demo_continues_while_it_is_broken_and_recovers_with_what_the_runbook_says(
    fault: str, totesys: Command
) -> None:
    with totesys.started("demo", "--break", fault, "--rate", "20", "--json") as process:
        assert process.stdout is not None
        seen: dict[str, dict[str, Any]] = {}

        def until(event: str) -> None:
            for line in process.stdout or ():
                told = json.loads(line)
                seen[told["event"]] = told
                if told["event"] == event:
                    return
            raise AssertionError(f"it ended before {event}")

        until("broken")
        if fault != "quarantine":
            until("stage_failed")
            assert WORDS[fault] in seen["stage_failed"]["error"]
        inside = seen["look_inside"]
        dsn = with_password(inside)
        if fault == "quarantine":
            until("rows_quarantined")
        check = totesys("status", "--check", "--endpoint", inside["lake"])
        # Quarantined rows are listed, and are no reason to wake anybody.
        assert check.code == (0 if fault in {"quarantine", "outage"} else 1), check.words
        made = statements(fault)
        for statement in made:
            await rows(dsn, statement)
        assert bool(made) == (fault != "poison")
        until("verification" if fault == "quarantine" else "recovered")
        ended = totesys("dlq", "purge", "--yes", "--endpoint", inside["lake"])
        assert ended.code == 0, ended.words
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, "Traceback" in err) == (0, False), err


def test_a_fault_goes_without_once(totesys: Command) -> None:
    ended = totesys("demo", "--once", "--break", "drift")
    assert (ended.code, "--break goes without --once" in ended.err) == (2, True), ended.words


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
