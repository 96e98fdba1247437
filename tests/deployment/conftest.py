"""The bridge, for each worker. Without a container engine nothing runs here, and pytest says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.stack import why_no_engine
from tests.deployment.bridge import Bridge, bridge


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    if here and (reason := why_no_engine()):
        pytest.exit(f"tests/deployment DID NOT RUN: {reason}. Start Docker.", returncode=3)


@pytest.fixture(scope="session")
def on_bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """An emulator and a Postgres on the bridge."""
    with bridge(tmp_path_factory.mktemp("bridge")) as running:
        yield running
