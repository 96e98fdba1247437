"""Completes the ledger of an earlier release, which did not note what keys of a dimension each run brought."""

from totesys.connection import Connection
from totesys.lake.records import ProcessedManifest, RunRecord
from totesys.lake.store import Lake
from totesys.table import Dimension
from totesys_load import dimension_keys
from totesys_load.copy import read_parquet
from totesys_load.key_ranges import BroughtKeys, KeyRange

# Runs that are completed in one transaction.
AT_ONCE = 20


async def note_later(connection: Connection, lake: Lake, dimension: Dimension, run: RunRecord) -> int:
    """Note, in the caller's transaction, the keys of some runs after this one, the newest; of how many it were."""
    later = await dimension_keys.runs_not_noted(connection, dimension.name, run, AT_ONCE)
    for number in later:
        if manifest := await lake.processed_manifest(number):
            ranges = await _brought(lake, dimension, manifest)
            ours = await dimension_keys.not_brought_later(connection, dimension.name, manifest, ranges)
            await dimension_keys.note(connection, dimension.name, manifest, ours)
        await dimension_keys.set_noted(connection, dimension.name, run.lake, number)
    return len(later)


async def _brought(lake: Lake, dimension: Dimension, manifest: ProcessedManifest) -> list[KeyRange]:
    keys = BroughtKeys(dimension.key)
    built = manifest.tables.get(dimension.name)
    for part in built.parts if built else ():
        keys.add(read_parquet(await lake.processed.get_part(part), dimension, lake.processed.where(part.key)))
    return keys.ranges
