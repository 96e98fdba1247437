"""The templates of every environment, synthesised once; the time of each tool, and what caught each planted fault."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from textwrap import shorten

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.infra.environments import few
from tests.templates.finding import Finding
from tests.templates.synthesis import Synthesis, synthesise

Stopwatch = Callable[[str], AbstractContextManager[None]]
SECONDS = pytest.StashKey[dict[str, float]]()
# The planted faults, with the finding of the check that is named for each.
CAUGHT = pytest.StashKey[list[tuple[str, Finding]]]()


@pytest.fixture(scope="session")
def stopwatch(request: pytest.FixtureRequest) -> Stopwatch:
    """Measures a block; the time is printed at the end."""
    seconds = request.config.stash.setdefault(SECONDS, {})

    @contextmanager
    def measure(what: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds[what] = time.perf_counter() - start

    return measure


@pytest.fixture(scope="session")
def synthesis(stopwatch: Stopwatch) -> Synthesis:
    """The distinct templates of all environments, with the findings of cdk-nag."""
    environments = few()
    with stopwatch(f"synthesis of {len(environments)} environments, with cdk-nag"):
        return synthesise(environments)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if caught := config.stash.get(CAUGHT, []):
        table = Table("planted fault", "caught by", "message", title="Planted faults", title_justify="left")
        for what, finding in caught:
            table.add_row(what, f"{finding.tool} {finding.rule}", escape(shorten(finding.message, 100)))
        Console(file=sys.stdout, width=160).print(table)
    for what, seconds in config.stash.get(SECONDS, {}).items():
        terminalreporter.write_line(f"{seconds:6.1f} s  {what}")
