"""Commits what is pending, and is killed before or after one of its writes: `python -m tests.lakehouse.killed_writer`.

KILL_AT is the number of the write; the program prints how many it made if it was not reached. A write is an object in
S3, or the catalog's swap of a table's metadata.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import PyArrowFile

from totesys.lake.store import open_lake
from totesys.service_settings import read_settings
from totesys.triggers import RECONCILE
from totesys_lakehouse.lakehouse_settings import LakehouseSettings
from totesys_lakehouse.lakehouse_stage import open_lakehouse

_at = int(os.environ["KILL_AT"])
_points = 0


def _point() -> None:
    global _points
    _points += 1
    if _points == _at:
        os._exit(137)


class _Stream:
    """An object being written."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        was_open = not self._stream.closed
        self._stream.close()
        if was_open:
            _point()


def _create(original: Callable[..., Any]) -> Callable[..., Any]:
    def create(self: PyArrowFile, overwrite: bool = False) -> Any:
        _point()
        return _Stream(original(self, overwrite))

    return create


def _commit(original: Callable[..., Any]) -> Callable[..., Any]:
    def commit(self: SqlCatalog, *parameters: Any, **named: Any) -> Any:
        result = original(self, *parameters, **named)
        _point()
        return result

    return commit


async def main() -> None:
    settings = read_settings(LakehouseSettings)
    async with (
        open_lake(settings.ingest_bucket, settings.processed_bucket) as lake,
        open_lakehouse(settings, lake) as stage,
    ):
        await stage.work(RECONCILE)
    print(_points)


if __name__ == "__main__":
    PyArrowFile.create = _create(PyArrowFile.create)  # type: ignore[method-assign]
    SqlCatalog.commit_table = _commit(SqlCatalog.commit_table)  # type: ignore[method-assign]
    SqlCatalog.create_table = _commit(SqlCatalog.create_table)  # type: ignore[method-assign]
    asyncio.run(main())
