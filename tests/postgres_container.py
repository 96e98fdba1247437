"""A Postgres server in a container, in any version that there is an image of."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import docker
import pytest
from docker.errors import DockerException, ImageNotFound
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import testcontainers_config

from totesys_cli.local.ports import LOOPBACK
from totesys_cli.local.reachable import SUPERUSER, ReachablePostgres

_SETTINGS = {
    "max_connections": "100",
    "wal_level": "logical",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "fsync": "off",
    "full_page_writes": "off",
}


@contextmanager
def postgres_container(image: str) -> Iterator[ReachablePostgres]:
    """A Postgres server from `image`; its container is gone at the end. Ends the session if there can be none."""
    _pull(image)
    # What would remove a forgotten container is one more image, which can't be had everywhere.
    testcontainers_config.ryuk_disabled = True
    password = secrets.token_urlsafe(24)
    container = PostgresContainer(image, username=SUPERUSER, password=password, dbname=SUPERUSER)
    container.with_command([part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}")])
    container.ports[str(container.port)] = (LOOPBACK, None)
    try:
        # In a thread, so that Ctrl-C can't fall between the making of the container and the knowledge of it.
        with _or_exit(f"{image} does not start"), ThreadPoolExecutor(1) as threads:
            threads.submit(container.start).result()
        yield ReachablePostgres(container.get_exposed_port(container.port), password)
    finally:
        container.stop()


def _pull(image: str) -> None:
    """Get the image, if it is not there; before the container is made, because it may take minutes."""
    with _or_exit("--postgres needs Docker, whose engine does not answer"):
        engine = docker.from_env()
    with closing(engine), _or_exit(f"{image} is not there and cannot be pulled"):
        try:
            engine.images.get(image)
        except ImageNotFound:
            engine.images.pull(image)


@contextmanager
def _or_exit(sentence: str) -> Iterator[None]:
    try:
        yield
    except (DockerException, TimeoutError) as error:
        pytest.exit(f"{sentence}: {error}", pytest.ExitCode.USAGE_ERROR)
