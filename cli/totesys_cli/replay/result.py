"""What a replay wrote: by run where there are few, else by table; a run's record is read when it is its turn."""

import json as json_module
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from totesys.concurrency import prefetched
from totesys.lake.records import LoadedTable, LoadRecord
from totesys.lake.store import Lake

# Of more runs a person is told the sum.
FEW_RUNS = 50
_READ_AHEAD = 8


async def show(console: Console, lake: Lake, runs: list[int], *, json: bool) -> None:
    """Print what load wrote of these runs, as its records say."""
    if json:
        await _show_json(console, lake, runs)
    elif len(runs) <= FEW_RUNS:
        console.print(await _by_run(lake, runs))
    else:
        console.print(await _by_table(lake, runs))


async def _records(lake: Lake, runs: list[int]) -> AsyncGenerator[LoadRecord, None]:
    reads = (partial(lake.load_record, run) for run in runs)
    async with aclosing(prefetched(reads, _READ_AHEAD)) as records:
        async for record in records:
            if record is not None:
                yield record


async def _show_json(console: Console, lake: Lake, runs: list[int]) -> None:
    """One array, an element at a time."""
    before = "["
    async with aclosing(_records(lake, runs)) as records:
        async for record in records:
            element = {"run": record.run, "tables": record.model_dump(mode="json")["tables"]}
            console.out(f"{before}\n  {json_module.dumps(element)}", end="", highlight=False)
            before = ","
    console.out("\n]" if before == "," else "[]", highlight=False)


async def _by_run(lake: Lake, runs: list[int]) -> Table:
    table = _table("run", "record ids")
    async with aclosing(_records(lake, runs)) as records:
        async for record in records:
            for name, loaded in record.tables.items():
                first, last = loaded.first_record_id, loaded.last_record_id
                ids = f"{first}-{last}" if first is not None and last is not None and first <= last else ""
                table.add_row(str(record.run), name, *_counts(loaded), ids)
    return table


async def _by_table(lake: Lake, runs: list[int]) -> Table:
    sums: dict[str, LoadedTable] = {}
    numbers: dict[str, int] = {}
    async with aclosing(_records(lake, runs)) as records:
        async for record in records:
            for name, loaded in record.tables.items():
                before = sums.get(name, LoadedTable(rows=0, written=0, seconds=0))
                added = {one: getattr(before, one) + getattr(loaded, one) for one in ("rows", "written", "quarantined")}
                sums[name] = before.model_copy(update=added)
                numbers[name] = numbers.get(name, 0) + 1
    table = _table("runs")
    for name, loaded in sums.items():
        table.add_row(f"{numbers[name]:,}", name, *_counts(loaded))
    return table


def _counts(loaded: LoadedTable) -> tuple[str, ...]:
    return tuple(f"{count:,}" for count in (loaded.rows, loaded.written, loaded.quarantined))


def _table(first: str, *last: str) -> Table:
    return Table(
        Column(first, justify="right"),
        Column("table", no_wrap=True),
        *(Column(name, justify="right") for name in ("rows", "written", "quarantined", *last)),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
