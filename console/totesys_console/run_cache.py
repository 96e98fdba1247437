"""The records of runs, each read once: its entity tag in the bucket's listing says whether it has changed."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from totesys.lake import keys
from totesys.lake.bucket import Bucket
from totesys.lake.records import Failure, LoadRecord, Manifest, ProcessedManifest, Record, parse_record
from totesys.lake.store import Lake
from totesys.service.runs import RunRecords

R = TypeVar("R", bound=Record)

# Records of a few kB each.
MOST_CACHED = 1000
# The most records of one run in a bucket: those of transform and load, with a failure of each.
_RECORDS = 4


@dataclass(frozen=True)
class Listed:
    """A run as the two buckets list it: the entity tags of its records by name."""

    run: int
    ingest: Mapping[str, str] = field(default_factory=dict)
    processed: Mapping[str, str] = field(default_factory=dict)

    @property
    def committed(self) -> bool:
        return self.empty or keys.MANIFEST in self.ingest

    @property
    def empty(self) -> bool:
        return keys.EMPTY in self.ingest

    @property
    def failed(self) -> bool:
        """Whether a stage has failed on the run, and has not succeeded since."""
        pending = [stage for stage, done in (("transform", self.transformed), ("load", self.loaded)) if not done]
        return any(keys.failure_name(stage) in self.processed for stage in pending)

    @property
    def done(self) -> bool:
        """Whether no stage has anything left to do with the run."""
        return self.empty or self.loaded

    @property
    def transformed(self) -> bool:
        return keys.MANIFEST in self.processed

    @property
    def loaded(self) -> bool:
        return keys.LOAD in self.processed


class RunCache:
    """Reads the records of runs, and keeps those read last."""

    def __init__(self, most: int = MOST_CACHED) -> None:
        self._most = most
        self._cached: OrderedDict[tuple[str, str, str], Record] = OrderedDict()

    async def listed(self, lake: Lake, after: int, upto: int) -> list[Listed]:
        """The runs after `after`, up to `upto`, that ingest committed, in order."""
        ingest, processed = await asyncio.gather(_tags(lake.ingest, after, upto), _tags(lake.processed, after, upto))
        found = [Listed(run, names, processed.get(run, {})) for run, names in ingest.items()]
        return [one for one in found if one.committed]

    async def run(self, lake: Lake, listed: Listed) -> RunRecords | None:
        """The records of a run."""
        name = keys.EMPTY if listed.empty else keys.MANIFEST
        manifest, processed, loaded = await asyncio.gather(
            self._read(lake.ingest, Manifest, listed.run, name, listed.ingest),
            self._read(lake.processed, ProcessedManifest, listed.run, keys.MANIFEST, listed.processed),
            self._read(lake.processed, LoadRecord, listed.run, keys.LOAD, listed.processed),
        )
        if manifest is None:
            return None
        failures = {
            stage: failure
            for stage, record in (("transform", processed), ("load", loaded))
            if record is None and (failure := await self._failure(lake, listed, stage))
        }
        return RunRecords(manifest, processed, loaded, failures)

    async def _failure(self, lake: Lake, listed: Listed, stage: str) -> Failure | None:
        return await self._read(lake.processed, Failure, listed.run, keys.failure_name(stage), listed.processed)

    async def _read(self, bucket: Bucket, kind: type[R], run: int, name: str, tags: Mapping[str, str]) -> R | None:
        if name not in tags:
            return None
        key = keys.record_key(run, name)
        version = (bucket.name, key, tags[name])
        if version in self._cached:
            self._cached.move_to_end(version)
            cached = self._cached[version]
            assert isinstance(cached, kind)
            return cached
        body = await bucket.get(key)
        if body is None:
            return None
        record = parse_record(kind, bucket.where(key), body)
        self._cached[version] = record
        while len(self._cached) > self._most:
            self._cached.popitem(last=False)
        return record


async def _tags(bucket: Bucket, after: int, upto: int) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = defaultdict(dict)
    at_once = min(1000, _RECORDS * (upto - after) + 1)
    async for key, tag in bucket.entries(keys.RUNS, keys.after_run(after), at_once):
        parsed = keys.parse_record_key(key)
        if parsed is None:
            continue
        run, name = parsed
        if run > upto:
            break
        found[run][name] = tag
    return found
