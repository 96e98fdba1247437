"""A stack of its own for the session. Without a container engine nothing runs here, and pytest says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.stack import Stack, why_no_engine

SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    if here and (reason := why_no_engine()):
        pytest.exit(f"tests/compose DID NOT RUN: {reason}. Start Docker, with its compose plugin.", returncode=3)
    for item in here:
        item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole system, up; every test leaves it complete and at rest.

    Four times the company's past: a run takes the small containers some seconds, so that it can be disturbed.
    """
    made = Stack("totesys-test", tmp_path_factory.mktemp("stack"), TOTESYS_SCALE="4")
    with made.compose:
        yield made
    made("down", "--rmi", "local")
