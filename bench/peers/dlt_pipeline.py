"""The program that runs dlt: `python -m bench.peers.dlt_pipeline --help`. Prints JSON: the seconds and rows of a run.

The seconds are those of extract, normalize and load. Start, imports and reflection are not included: a running service
has them behind it.

With `--plain` it has dlt's defaults: only the backend is named. Otherwise these settings were chosen, from dlt's
documentation ("Optimizing dlt", "SQL databases", "Postgres") and by trying on 50,000 orders:

- The Arrow backends: rows that pass through Python dictionaries take several times as long.
- ConnectorX as a stream. Otherwise a whole table is in memory at once, and it is no faster.
- CSV files, which dlt sends by COPY. Parquet, which it sends through ADBC, takes longer; INSERT statements take four
  times as long. Uncompressed: compression takes longer than all of extract.
- Chunks of 10,000 rows: as fast as the default 50,000, with a quarter less memory.
- Tables are extracted and loaded in parallel. A first load is normalized by one process per core, which needs files of
  bounded size; for a few rows, starting processes takes longer than the work.
- State stays in the folder and is not read from the destination at each start.
"""

import argparse
import json
import os
import time
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
# What dlt imports on first use, besides the library that a backend is named after.
LATE_IMPORTS = (
    "dlt.common.libs.pyarrow",
    "dlt.destinations.impl.postgres.postgres",
    "pandas",
    "psycopg2",
    "pyarrow.csv",
    "pyarrow.parquet",
)


def main() -> None:
    """Run the pipeline once: all rows, or with `--since` those newer than the folder's state."""
    given = _parse()
    if not given.plain:
        os.environ.update(SETTINGS if given.since else SETTINGS | MANY_ROWS)
    for module in (*LATE_IMPORTS, given.backend):
        import_module(module)
    destination = postgres(given.warehouse)
    pipeline = dlt.pipeline("copy", pipelines_dir=given.folder, destination=destination, dataset_name=given.dataset)
    source, options = _source(given), {} if given.plain else {"loader_file_format": "csv"}
    started = time.perf_counter()
    pipeline.run(source, write_disposition="append" if given.since else "replace", **options)
    seconds = time.perf_counter() - started
    counts = pipeline.last_trace.last_normalize_info.row_counts
    print(json.dumps({"seconds": seconds, "rows": sum(counts.get(name, 0) for name in given.tables.split(","))}))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("source", "warehouse", "backend", "folder", "dataset"):
        parser.add_argument(name)
    parser.add_argument("tables", help="names, separated by commas")
    parser.add_argument("--since", type=datetime.fromisoformat, help="load newer rows only")
    parser.add_argument("--plain", action="store_true", help="set nothing but the backend")
    return parser.parse_args()


def _source(given: argparse.Namespace) -> Any:
    # Without a driver's name, SQLAlchemy takes another one than dlt's destination.
    dsn, tables = given.source.replace("postgresql://", "postgresql+psycopg2://"), given.tables.split(",")
    connection = {"conn": given.source} if given.backend == "connectorx" else {}
    if given.plain:
        plain = {"backend_kwargs": connection} if connection else {}
        return sql_database(dsn, table_names=tables, backend=given.backend, **plain)
    source = sql_database(
        dsn,
        table_names=tables,
        backend=given.backend,
        chunk_size=CHUNK_ROWS,
        backend_kwargs={"return_type": "arrow_stream", **connection} if connection else {},
        # The source's own types, to the digit.
        reflection_level="full_with_precision",
    )
    if given.since:
        for resource in source.resources.values():
            resource.apply_hints(incremental=dlt.sources.incremental(CURSOR, initial_value=given.since))
    return source.parallelize()


if __name__ == "__main__":
    main()
