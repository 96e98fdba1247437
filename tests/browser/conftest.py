"""One browser for all tests, and a console over a lake that the test writes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial

import pytest
from playwright.async_api import Browser

from tests.browser.browser import IMAGES, Visit, launched, visiting
from tests.processes import environment, running
from totesys.lake.store import Lake, open_lake
from totesys_cli.local.local_data_plane import LocalDataPlane

# It needs no database, and has nothing to do in a lake without pending runs.
OBSERVER = "transform"

Observe = Callable[..., Awaitable[str]]
Look = Callable[..., AbstractAsyncContextManager[Visit]]


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with launched() as browser:
        yield browser


@pytest.fixture
def look(browser: Browser, request: pytest.FixtureRequest) -> Look:
    """Opens a page for a new visitor: see `visiting`."""
    IMAGES.mkdir(exist_ok=True)
    return partial(visiting, browser, pictures=request.config.getoption("--pictures"))


@pytest.fixture
async def observe(data_plane: LocalDataPlane) -> AsyncIterator[Observe]:
    """Starts a service that only shows the lake. Returns its address."""
    async with AsyncExitStack() as stack:

        async def start(**settings: str) -> str:
            variables = environment(OBSERVER, data_plane, **settings)
            return (await stack.enter_async_context(running(OBSERVER, variables))).url

        yield start


@pytest.fixture
async def lake(data_plane: LocalDataPlane) -> AsyncIterator[Lake]:
    """The lake of the data plane, for the test to write."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in data_plane.environment().items():
            patch.setenv(name, value)
        async with open_lake(data_plane.ingest_bucket, data_plane.processed_bucket) as opened:
            yield opened
