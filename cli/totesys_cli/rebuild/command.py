"""`totesys rebuild`: load's own stage, in this process, over a lake that it only reads."""

import json as json_module
from dataclasses import dataclass, field

from pydantic import SecretStr
from rich.console import Console

from totesys.errors import TotesysError
from totesys.lake.records import LoadRecord
from totesys.lake.store import Lake
from totesys.logs import quiet_logs
from totesys.schema import load_model
from totesys.service_settings import read_settings
from totesys.triggers import RECONCILE
from totesys_cli.errors import BadInput, StageFailed
from totesys_cli.place import Place
from totesys_cli.progress import progress
from totesys_cli.rebuild.target import applied_runs
from totesys_load.load_settings import LoadSettings
from totesys_load.load_stage import Load


@dataclass(frozen=True)
class Target:
    """The warehouse that is made. `model` is the module whose MODEL declares its tables."""

    dsn: str = field(repr=False)
    schema: str
    model: str


async def run_rebuild(console: Console, place: Place, target: Target, *, json: bool) -> None:
    """Load what the lake has and the warehouse has not, and print how much that was.

    Each run is one transaction, so it may be broken off at any time. Raises BadInput where the warehouse is not
    of this lake alone, StageFailed if a run cannot be loaded.
    """
    quiet_logs()
    async with place.lake() as lake:
        counter = await lake.counter()
        if counter is None:
            raise BadInput(f"The lake {place.name} has had no run: there is nothing to rebuild from.")
        model = load_model(target.model)
        before = await applied_runs(target.dsn, target.schema, model, counter.lake)
        load = Load(_settings(place, target), lake, model)
        loaded, rows = await _load_all(load, lake, before)
    if json:
        console.print_json(json_module.dumps({"already_there": before, "loaded": loaded, "rows_written": rows}))
    else:
        had = f"; {before:,} were there already" if before else ""
        console.print(f"{loaded:,} runs with {rows:,} rows written are in the warehouse{had}.", soft_wrap=True)


async def _load_all(load: Load, lake: Lake, before: int) -> tuple[int, int]:
    """Load until the warehouse has all runs, also those that come meanwhile; how many it loaded, and rows written."""
    with progress(len(await lake.processed_runs())) as steps:
        steps.done = before
        loaded = rows = 0

        def note(record: LoadRecord) -> None:
            nonlocal loaded, rows
            loaded += 1
            rows += sum(table.written for table in record.tables.values())
            steps.step(f"run {record.run}, {rows:,} rows written")

        load.on_run = note
        while True:
            count = loaded
            try:
                await load.work(RECONCILE)
            except TotesysError as error:
                raise StageFailed(f"{error} The runs before are in the warehouse: call again to go on.") from error
            runs = await lake.processed_runs()
            if loaded + before >= len(runs):
                return loaded, rows
            if loaded == count:
                raise StageFailed(
                    f"{len(runs) - loaded - before:,} runs wait for one that is not in the processed bucket. "
                    "Trigger transform, and call again to go on."
                )
            steps.total = len(runs)


def _settings(place: Place, target: Target) -> LoadSettings:
    return read_settings(
        LoadSettings,
        ingest_bucket=place.bucket("ingest"),
        processed_bucket=place.bucket("processed"),
        # Nobody wakes this load, and it listens nowhere.
        queue_url="unused",
        dlq_url="unused",
        host="127.0.0.1",
        warehouse_dsn=SecretStr(target.dsn),
        warehouse_schema=target.schema,
        model=target.model,
    )
