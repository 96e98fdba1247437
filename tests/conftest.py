"""A Postgres server and an emulator for the session; a fresh database and data plane for each test."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from totesys_cli.local.data_plane import DataPlane
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.postgres import PostgresServer
from totesys_cli.local.reachable import ReachablePostgres
from totesys_infra import data_plane_template

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[ReachablePostgres]:
    """A Postgres server that is gone at the end of the session."""
    with PostgresServer.start(durable=False) as server:
        yield server


@pytest.fixture
def database(postgres: ReachablePostgres) -> Iterator[Callable[[], str]]:
    """Makes an empty database, as often as it is called, and gives its DSN; they end with the test."""
    names: list[str] = []

    def create() -> str:
        names.append(f"test_{next(_numbers)}")
        return postgres.create_database(names[-1])

    yield create
    for name in names:
        postgres.drop_database(name)


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """An AWS emulator that is gone at the end of the session."""
    with Emulator.start() as running:
        yield running


@pytest.fixture
def data_plane(emulator: Emulator) -> DataPlane:
    """Buckets and queues that no other test uses; the schedule is off."""
    return emulator.apply(data_plane_template(), f"test-{next(_numbers)}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=1, help="how often tests/faults causes each fault")
    parser.addoption("--large", type=float, default=1.0, help="what is a large run: times the company's 48,066 rows")
    parser.addoption("--seed", default="20261123", help="what decides what tests/faults leaves to chance")
