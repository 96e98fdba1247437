"""The objects of quarantined rows: those that could not become warehouse rows."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from totesys.lake.keys import QUARANTINE, after_run, intervals_back, parse_quarantine_key
from totesys.lake.store import LOOK_BACK, Lake


@dataclass(frozen=True)
class QuarantinePart:
    """An object of quarantined rows, with the columns of the table's first source (transform) or the table's (load)."""

    run: int
    table: str
    key: str
    by_load: bool


def without_value(reason: str) -> str:
    """A reason without the value that it quotes."""
    return reason.partition(": ")[0]


async def quarantine_parts(
    lake: Lake, prefix: str = QUARANTINE, *, run: int | None = None
) -> AsyncGenerator[QuarantinePart, None]:
    """The quarantine's objects below `prefix`, of all runs or of one, newest run first.

    Skips objects superseded by a replay.
    """
    upper, after = (await lake.last_number(), 0) if run is None else (run, run - 1)
    async with aclosing(_objects(lake, prefix, upper, after)) as objects:
        async for number, keys in objects:
            for part in await _valid(lake, number, keys):
                yield part


async def quarantined_runs(lake: Lake, before: int, after: int = 0) -> AsyncGenerator[int, None]:
    """The runs after `after` and before `before` that have objects in quarantine, newest first."""
    async with aclosing(_objects(lake, QUARANTINE, before - 1, after)) as objects:
        async for number, _ in objects:
            yield number


async def quarantined_tables(lake: Lake) -> list[str]:
    """The warehouse tables with objects in quarantine."""
    return sorted(folder.rstrip("/").rpartition("/")[2] for folder in await _folders(lake, QUARANTINE))


async def _objects(lake: Lake, prefix: str, upper: int, lower: int) -> AsyncGenerator[tuple[int, list[str]], None]:
    """The objects below `prefix` of the runs after `lower` and up to `upper`, by run, newest run first."""
    folders = await _folders(lake, prefix)
    if not folders:
        return
    for after, upto in intervals_back(upper, LOOK_BACK, max(0, lower)):
        found: dict[int, list[str]] = defaultdict(list)
        for several in await asyncio.gather(*(_between(lake, folder, after, upto) for folder in folders)):
            for number, key in several:
                found[number].append(key)
        for number in sorted(found, reverse=True):
            yield number, found[number]


async def _between(lake: Lake, folder: str, after: int, upto: int) -> list[tuple[int, str]]:
    found = []
    async for key in lake.processed.keys(folder, after_run(after, folder)):
        parsed = parse_quarantine_key(key)
        if parsed and parsed[1] > upto:
            break
        if parsed:
            found.append((parsed[1], key))
    return found


async def _folders(lake: Lake, prefix: str) -> list[str]:
    """The folders below `prefix` with objects of a table. Each is found by skipping the one before."""
    found: list[str] = []
    after = ""
    while True:
        async for key in lake.processed.keys(prefix, after, at_once=1):
            folder = key.rpartition("/")[0].rpartition("/")[0]
            break
        else:
            return found
        found.append(f"{folder}/")
        # "0" sorts right after "/".
        after = f"{folder}0"


async def _valid(lake: Lake, run: int, keys: list[str]) -> list[QuarantinePart]:
    manifest, loaded = await asyncio.gather(lake.processed_manifest(run), lake.load_record(run))
    valid = []
    for key in keys:
        parsed = parse_quarantine_key(key)
        assert parsed
        table, _, number = parsed
        by_transform = manifest.quarantine.get(table) if manifest else None
        # Load's object has the number after those of transform.
        unresolved = loaded.tables.get(table) if loaded else None
        own = len(by_transform.parts) if by_transform else 0
        by_load = number == own and unresolved is not None and unresolved.quarantined > 0
        if number < own or by_load:
            valid.append(QuarantinePart(run, table, key, by_load))
    return valid
