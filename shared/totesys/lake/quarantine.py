"""Which objects hold the rows that could not become warehouse rows, as the records of runs say."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from totesys.lake.keys import QUARANTINE, parse_quarantine_key
from totesys.lake.lake import Lake
from totesys.lake.prefetch import prefetched

# Runs whose records are read before they are asked for.
_AHEAD = 8


@dataclass(frozen=True)
class QuarantinePart:
    """An object of quarantined rows. Transform's have the columns of the table's first source, load's the table's."""

    run: int
    table: str
    key: str
    by_load: bool


def without_value(reason: str) -> str:
    """What a reason says, without the value that it says it of."""
    return reason.partition(": ")[0]


async def quarantine_parts(
    lake: Lake, prefix: str = QUARANTINE, *, run: int | None = None
) -> AsyncGenerator[QuarantinePart, None]:
    """The quarantine's objects below `prefix`, of all runs or of one, newest run first.

    An object that a run which was done again has left behind is none of them.
    """
    found: dict[int, list[str]] = defaultdict(list)
    async for key in lake.processed.keys(prefix):
        parsed = parse_quarantine_key(key)
        if parsed and run in (None, parsed[1]):
            found[parsed[1]].append(key)
    reads = [partial(_valid, lake, number, found[number]) for number in sorted(found, reverse=True)]
    async with aclosing(prefetched(reads, _AHEAD)) as several:
        async for parts in several:
            for part in parts:
                yield part


async def _valid(lake: Lake, run: int, keys: list[str]) -> list[QuarantinePart]:
    manifest, loaded = await asyncio.gather(lake.processed_manifest(run), lake.load_record(run))
    valid = []
    for key in keys:
        parsed = parse_quarantine_key(key)
        assert parsed
        table, _, number = parsed
        by_transform = manifest.quarantine.get(table) if manifest else None
        # Load's object comes after those of transform.
        orphans = loaded.tables.get(table) if loaded else None
        own = len(by_transform.parts) if by_transform else 0
        by_load = number == own and orphans is not None and orphans.quarantined > 0
        if number < own or by_load:
            valid.append(QuarantinePart(run, table, key, by_load))
    return valid
