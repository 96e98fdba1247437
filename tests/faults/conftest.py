"""The seed and the number of rounds of the faults, and the table of what came of them."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tests.faults import report
from tests.faults.report import Outcome

SEED = pytest.StashKey[str]()
OUTCOMES = pytest.StashKey[list[Outcome]]()


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> str:
    """What decides all that happens by chance."""
    return str(pytestconfig.getoption("--seed"))


@pytest.fixture(scope="session")
def rounds(pytestconfig: pytest.Config) -> int:
    """How often each fault is caused."""
    return int(pytestconfig.getoption("--rounds"))


@pytest.fixture
def outcome_of(pytestconfig: pytest.Config) -> Callable[[str], Outcome]:
    """A line of the table, for a fault."""

    def begin(fault: str) -> Outcome:
        outcome = Outcome(fault)
        pytestconfig.stash.setdefault(OUTCOMES, []).append(outcome)
        return outcome

    return begin


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder below one that every account can enter, as Postgres needs it where this runs as root."""
    path = Path(tempfile.mkdtemp(prefix="totesys-faults-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    outcomes = config.stash.get(OUTCOMES, [])
    if outcomes:
        terminalreporter.section("faults")
        report.show(outcomes, config.getoption("--seed"), Console(width=160))
