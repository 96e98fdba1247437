"""The program that runs dlt: `python -m bench.peers.dlt_pipeline --help`. Prints JSON: the seconds and rows of a run.

The seconds are those of extract, normalize and load. Start, imports and the look at the source's catalog are not in
it: a service that runs already has them behind it.

With `--plain` it is set up as dlt's documentation begins: the backend is named and nothing else. Otherwise this was
chosen, by dlt's documentation ("Optimizing dlt", "SQL databases", "Postgres") and by trying on 50,000 orders:

- The Arrow backends: rows that go through Python dictionaries take several times as long.
- ConnectorX as a stream. Without it a whole table is in memory at once, and it is no quicker.
- CSV files, which dlt sends by COPY. Parquet, which it sends through ADBC, takes longer, and INSERT statements take
  four times as long. Not compressed: that would take longer than all of extract.
- Chunks of 10,000 rows: as quick as the usual 50,000, and a quarter less memory.
- Tables are extracted side by side and loaded side by side. A first load is normalized by as many processes as there
  are cores, which needs files of bounded size; for a few rows, starting processes takes longer than the work.
- State is kept in the folder, and not asked from the destination at each start.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any

import dlt
from dlt.destinations import postgres
from dlt.sources.sql_database import sql_database

CHUNK_ROWS = 10_000
CURSOR = "last_updated"

SETTINGS = {
    "RESTORE_FROM_DESTINATION": "false",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "LOAD__DELETE_COMPLETED_JOBS": "true",
}
MANY_ROWS = {
    "DATA_WRITER__FILE_MAX_ITEMS": "100000",
    "NORMALIZE__WORKERS": str(os.cpu_count()),
}
# What dlt imports when it first needs it, besides the library that a backend is named after.
LATE_IMPORTS = (
    "dlt.common.libs.pyarrow",
    "dlt.destinations.impl.postgres.postgres",
    "pandas",
    "psycopg2",
    "pyarrow.csv",
    "pyarrow.parquet",
)


@dataclass(frozen=True)
class Arguments:
    """What the command line says."""

    source: str
    warehouse: str
    backend: str
    folder: str
    dataset: str
    tables: str
    since: datetime | None
    plain: bool


def main() -> None:
    """Run the pipeline once: all rows, or with `--since` those that are newer than what the folder's state says."""
    arguments = _parse()
    if not arguments.plain:
        os.environ.update(SETTINGS if arguments.since else SETTINGS | MANY_ROWS)
    for module in (*LATE_IMPORTS, arguments.backend):
        import_module(module)
    pipeline = dlt.pipeline(
        "copy",
        pipelines_dir=arguments.folder,
        destination=postgres(arguments.warehouse),
        dataset_name=arguments.dataset,
    )
    source = _plain_source(arguments) if arguments.plain else _tuned_source(arguments)
    options = {} if arguments.plain else {"loader_file_format": "csv"}
    disposition = "append" if arguments.since else "replace"
    started = time.perf_counter()
    pipeline.run(source, write_disposition=disposition, **options)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "rows": _rows(pipeline, arguments.tables)}))


def _parse() -> Arguments:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("source", "warehouse", "backend", "folder", "dataset"):
        parser.add_argument(name)
    parser.add_argument("tables", help="names, separated by commas")
    parser.add_argument("--since", type=datetime.fromisoformat, help="load newer rows only")
    parser.add_argument("--plain", action="store_true", help="set nothing but the backend")
    return Arguments(**vars(parser.parse_args()))


def _plain_source(arguments: Arguments) -> Any:
    connection = {"backend_kwargs": {"conn": arguments.source}} if arguments.backend == "connectorx" else {}
    return sql_database(
        _with_driver(arguments.source),
        table_names=arguments.tables.split(","),
        backend=arguments.backend,
        **connection,
    )


def _tuned_source(arguments: Arguments) -> Any:
    streaming = {"return_type": "arrow_stream", "conn": arguments.source} if arguments.backend == "connectorx" else {}
    source = sql_database(
        _with_driver(arguments.source),
        table_names=arguments.tables.split(","),
        backend=arguments.backend,
        chunk_size=CHUNK_ROWS,
        backend_kwargs=streaming,
        # The source's own types, to the digit.
        reflection_level="full_with_precision",
    )
    if arguments.since:
        for resource in source.resources.values():
            resource.apply_hints(incremental=dlt.sources.incremental(CURSOR, initial_value=arguments.since))
    return source.parallelize()


def _with_driver(dsn: str) -> str:
    """Without a driver's name SQLAlchemy takes another than dlt's destination does."""
    return dsn.replace("postgresql://", "postgresql+psycopg2://")


def _rows(pipeline: Any, tables: str) -> int:
    counts = pipeline.last_trace.last_normalize_info.row_counts
    return sum(counts.get(name, 0) for name in tables.split(","))


if __name__ == "__main__":
    main()
