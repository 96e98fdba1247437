"""Resets the logging that a unit test has set up."""

import logging
import sys
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture
def logs_left_as_they_were() -> Iterator[None]:
    """Handlers, levels and hooks are afterwards what they were before."""
    root, ours = logging.getLogger(), logging.getLogger("totesys")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    hook = sys.excepthook
    yield
    sys.excepthook = hook
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
