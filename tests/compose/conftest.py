"""A stack of its own for the session. Without a container engine nothing runs here, and pytest says so."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.stack import Stack

SECONDS = 900
QUICK = Path(__file__).parent / "quick.yml"


def _why_not() -> str | None:
    """Why there is no container engine to use; None if there is one."""
    if shutil.which("docker") is None:
        return "there is no `docker` command"
    for call in (["docker", "info", "--format", "{{.ServerVersion}}"], ["docker", "compose", "version"]):
        asked = subprocess.run(call, capture_output=True, text=True, check=False)
        if asked.returncode:
            return f"`{' '.join(call)}` says: {asked.stderr.strip() or asked.stdout.strip()}"
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    if here and (reason := _why_not()):
        pytest.exit(f"tests/compose DID NOT RUN: {reason}. Start Docker, with its compose plugin.", returncode=3)
    for item in here:
        item.add_marker(pytest.mark.timeout(SECONDS))
        # What shares the stack shares a worker; the large one comes up beside it.
        shares = isinstance(item, pytest.Function) and "stack" in item.fixturenames
        item.add_marker(pytest.mark.xdist_group("stack" if shares else item.path.stem))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lock under which images are built: by one worker, the others find them built."""
    # The folder that all workers share.
    return tmp_path_factory.getbasetemp().parent / "images.lock"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Stack]:
    """The whole system, up; every test leaves it complete and at rest.

    Four times the company's past: a run takes the small containers some seconds, so that it can be disturbed.
    """
    made = Stack("totesys-test", tmp_path_factory.mktemp("stack"), QUICK, TOTESYS_SCALE="4")
    made.build(images)
    with made:
        yield made
