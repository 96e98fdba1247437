"""`totesys downgrade`: the lake's records as release 0.1.0 reads them, which refuses fields that it does not know."""

import asyncio
import json
from typing import Any

from rich.text import Text

from totesys.lake.bucket import Bucket
from totesys.lake.keys import REPLAYS, RUN_NUMBER, RUNS, VERIFICATIONS
from totesys_cli.command_errors import UsageError
from totesys_cli.data_plane_clients import lake_at
from totesys_cli.options import DataPlaneLocation
from totesys_cli.progress import LINE_SECONDS, progress
from totesys_cli.terminal import Output

# The fields that records have gained since 0.1.0, and those of the tables in a record.
ADDED = frozenset({"schema_version", "release", "counts", "left_out", "deleted", "log", "checks_log", "capture"})
ADDED_TO_TABLES = {"quarantine": frozenset({"reasons"})}
AT_ONCE = 100


def first_shape(body: bytes) -> bytes:
    """A record as 0.1.0 writes it; the same bytes if it has no newer field. Pure."""
    record: dict[str, Any] = json.loads(body)
    older = _without(record, ADDED)
    for part, added in ADDED_TO_TABLES.items():
        if part in older:
            older[part] = {table: _without(fields, added) for table, fields in older[part].items()}
    return body if older == record else json.dumps(older, indent=2).encode()


async def run_downgrade(output: Output, location: DataPlaneLocation) -> None:
    """Rewrite every record that has newer fields, and print how many. Call again after an interruption.

    Raises UsageError if a record changes meanwhile: a service is running.
    """
    rewritten = 0
    async with lake_at(location, read_only=False) as lake:
        found = [(bucket, key) for bucket in (lake.ingest, lake.processed) for key in await _records(bucket)]
        with progress(len(found), every=LINE_SECONDS) as steps:
            for start in range(0, len(found), AT_ONCE):
                done = await asyncio.gather(*(_rewrite(*one) for one in found[start : start + AT_ONCE]))
                rewritten += sum(done)
                steps.step(found[start][1], len(done))
    output.result(
        {"records": len(found), "rewritten": rewritten},
        Text(f"{rewritten:,} of {len(found):,} records rewritten. Now start release 0.1.0."),
    )


async def _records(bucket: Bucket) -> list[str]:
    return [
        key
        for prefix in (RUN_NUMBER, RUNS, VERIFICATIONS, REPLAYS)
        async for key in bucket.keys(prefix)
        if key.endswith(".json")
    ]


async def _rewrite(bucket: Bucket, key: str) -> bool:
    """Whether the record had newer fields."""
    found = await bucket.get_with_etag(key)
    if found is None:
        return False
    body, etag = found
    older = first_shape(body)
    if older == body:
        return False
    if not await bucket.put_instead(key, older, etag):
        raise UsageError(f"{bucket.where(key)} changed meanwhile. Stop all services, and call again.")
    return True


def _without(fields: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
