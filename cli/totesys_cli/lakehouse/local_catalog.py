"""The Iceberg catalog of a local stack: a SQLite file beside its lake."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LocalCatalog:
    """Where the lakehouse's tables are registered."""

    dsn: str

    def environment(self) -> dict[str, str]:
        """The lakehouse's setting."""
        return {"TOTESYS_LAKEHOUSE_CATALOG_DSN": self.dsn}


@contextmanager
def local_catalog(state: Path | None) -> Iterator[LocalCatalog]:
    """The catalog in the folder that keeps the lake, or in a temporary one."""
    if state is not None:
        yield LocalCatalog(f"sqlite:///{(state / 'lakehouse.sqlite').absolute()}")
        return
    with tempfile.TemporaryDirectory(prefix="totesys-lakehouse-") as folder:
        yield LocalCatalog(f"sqlite:///{folder}/catalog.sqlite")
