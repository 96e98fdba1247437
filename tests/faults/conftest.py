"""The number of rounds of the faults, and the table of what came of them."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import pytest
from rich.console import Console

from tests.faults import report
from tests.faults.report import Outcome
from tests.faults.world import World, make_world
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.reachable import ReachablePostgres
from totesys_infra import data_plane_template

Worlds: TypeAlias = Callable[..., AbstractAsyncContextManager[World]]
OutcomeOf: TypeAlias = Callable[[str], Outcome]

SECONDS_A_ROUND = 600
OUTCOMES = pytest.StashKey[list[Outcome]]()


@pytest.fixture(scope="session")
def rounds(pytestconfig: pytest.Config) -> int:
    """How often each fault is caused."""
    return int(pytestconfig.getoption("--rounds"))


@pytest.fixture
def random(request: pytest.FixtureRequest, seed: str) -> Random:
    """What is left to chance in a test, decided by the seed and the test's name."""
    return Random(f"{seed}/{request.node.name}")


@pytest.fixture
def outcome_of(pytestconfig: pytest.Config) -> OutcomeOf:
    """A line of the table, for a fault."""

    def begin(fault: str) -> Outcome:
        outcome = Outcome(fault)
        _outcomes(pytestconfig).append(outcome)
        return outcome

    return begin


@pytest.fixture(scope="module")
def worlds(postgres: ReachablePostgres, emulator: Emulator, seed: str, folder: Path) -> Worlds:
    """Makes running systems, each with databases and a data plane of its own."""

    @asynccontextmanager
    async def make(
        name: str, source: ReachablePostgres = postgres, warehouse: ReachablePostgres = postgres, **options: Any
    ) -> AsyncIterator[World]:
        plane = emulator.apply(data_plane_template(), f"test-{name}".replace("_", "-"))
        dsns = source.create_database(f"{name}_source"), warehouse.create_database(f"{name}_warehouse")
        world = await make_world(emulator, plane, *dsns, f"{seed}/{name}")
        logs = folder / name
        logs.mkdir()
        async with world.running(logs, **options):
            yield world
        source.drop_database(f"{name}_source")
        warehouse.drop_database(f"{name}_warehouse")

    return make


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder below one that every account can enter, as Postgres needs it where this runs as root."""
    path = Path(tempfile.mkdtemp(prefix="totesys-faults-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that causes its fault more often may take longer."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(SECONDS_A_ROUND * config.getoption("--rounds")))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands over what it has seen; the table is of all of them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["outcomes"] = [asdict(outcome) for outcome in _outcomes(session.config)]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # A worker that crashed has handed over nothing.
    _outcomes(node.config).extend(
        Outcome(**outcome) for outcome in getattr(node, "workeroutput", {}).get("outcomes", [])
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if outcomes := sorted(_outcomes(config), key=lambda outcome: outcome.fault):
        terminalreporter.section("faults")
        report.show(outcomes, config.getoption("--seed"), Console(width=160))


def _outcomes(config: pytest.Config) -> list[Outcome]:
    return config.stash.setdefault(OUTCOMES, [])
