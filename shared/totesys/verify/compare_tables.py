"""Compares the current state of the warehouse with the source, table by table."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from totesys.concurrency import gather_pair
from totesys.schema import Model
from totesys.table import WarehouseTable
from totesys.verify import queries
from totesys.verify.buckets import BucketChecksum, KeySpan, differing, ranges_of, width_for
from totesys.verify.merge_join import merged
from totesys.verify.queries import SideQueries
from totesys.verify.side import Side
from totesys.verify.snapshots import Snapshots
from totesys.verify.verdict import Judge, Pair
from totesys.verify.verification_result import TableComparison, Tally, UnequalRow, Verdict, Verification

PAIRS_AT_ONCE = 1000


async def verify(
    source_dsn: str,
    warehouse_dsn: str,
    model: Model,
    *,
    source_schema: str = "public",
    warehouse_schema: str = "warehouse",
    tables: Sequence[WarehouseTable] | None = None,
    on_table: Callable[[TableComparison], None] = lambda _: None,
) -> Verification:
    """Compare every row and column of every warehouse table, or only of `tables`, with its reference query.

    Each database is read in one snapshot. `on_table` is called after each table. Raises SchemaDrift or
    WarehouseMismatch if a table or a column is missing; DatabaseUnavailable, AccessDenied or SettingsError if a
    database cannot be read.
    """
    async with Snapshots.open(model, source_dsn, warehouse_dsn, source_schema, warehouse_schema) as at:
        chosen = model.tables if tables is None else tables
        comparisons = []
        for table in chosen:
            comparisons.append(await _TableVerification(at, table).result())
            on_table(comparisons[-1])
        return Verification(at.time, at.newest_run, at.reason, tuple(comparisons))


@dataclass(frozen=True)
class _Changed:
    """The keys of the rows that may have changed since the newest run, as text of an int8multirange."""

    ranges: str
    span: KeySpan


class _TableVerification:
    def __init__(self, at: Snapshots, table: WarehouseTable) -> None:
        self._at = at
        self._table = table
        self._expected = queries.expected_rows(at.model, table, at.schema, at.reference_side(table).encoding)
        self._found = queries.found_rows(table, at.schema, ledger=at.has_ledger)
        self._is_integer = table.has_integer_key
        self._judge = Judge(at, table)
        self._tally = Tally(table.name)

    async def result(self) -> TableComparison:
        """Compare the table, by ranges of keys if these are integers."""
        if self._is_integer and self._table.sources:
            await self._compare_buckets()
        else:
            side = self._at.reference_side(self._table)
            await self._quarantine(side, self._expected.impossible())
            await self._compare(side.stream(self._expected.all()), self._at.warehouse.stream(self._found.all()))
        for _ in range(await self._at.warehouse.value(self._found.count_without_key())):
            self._tally.add(UnequalRow("NULL", Verdict.EXTRA, self._table.key_names))
        return self._tally.result()

    async def _compare_buckets(self) -> None:
        span = await self._span()
        if span is None:
            return
        changed = await self._changed_keys()
        width = width_for(span)
        (expected, impossible), (found, _) = await gather_pair(
            self._checksums(self._at.source, self._expected, width, changed),
            self._checksums(self._at.warehouse, self._found, width, changed),
        )
        if None in impossible:
            await self._quarantine(self._at.source, self._expected.impossible(self._expected.lacks_key))
        for keys in ranges_of((bucket for bucket in impossible if bucket is not None), width, span):
            await self._quarantine(
                self._at.source, self._expected.impossible(self._expected.key_between), keys.first, keys.last
            )
        ranges = differing(expected, found, width, span)
        self._tally.equal += sum(expected[bucket].rows for bucket in expected.keys() & found.keys()
                                 if expected[bucket] == found[bucket])  # fmt: skip
        for keys in ranges:
            await self._compare_between(keys, changed, only_changed=False)
        if changed:
            await self._compare_between(changed.span, changed, only_changed=True)

    async def _quarantine(self, side: Side, query: str, *parameters: object) -> None:
        """Count the rows that cannot be in the warehouse by the rules of transform."""
        async for row in side.stream(query, *parameters):
            key, columns = row["key"], tuple(row["columns"])
            self._tally.add(UnequalRow("NULL" if key is None else key, Verdict.QUARANTINED, columns))

    async def _span(self) -> KeySpan | None:
        """From the least to the greatest key of either side; None if there is none."""
        sides = await gather_pair(
            self._at.source.row(self._expected.span()), self._at.warehouse.row(self._found.span())
        )
        keys = [key for side in sides for key in side if key is not None]
        return KeySpan(min(keys), max(keys)) if keys else None

    async def _changed_keys(self) -> _Changed | None:
        if not self._at.newest_run or not queries.can_track_keys(self._at.model, self._table):
            return None
        source = self._at.model.source(self._table.sources[0])
        row = await self._at.source.row(queries.changed_keys(source, self._at.since(source, "own")))
        return None if row["ranges"] is None else _Changed(row["ranges"], KeySpan(row["first"], row["last"]))

    async def _checksums(
        self, side: Side, rows: SideQueries, width: int, changed: _Changed | None
    ) -> tuple[Mapping[int, BucketChecksum], set[int | None]]:
        """The checksum of each bucket, and the buckets with rows that cannot be in the warehouse."""
        query = rows.checksums(changed=changed is not None)
        answer = await side.rows(query, width, *((changed.ranges,) if changed else ()))
        checksums = {
            row["bucket"]: BucketChecksum(row["rows"], int(row["hashes"]))
            for row in answer
            if row["rows"] and row["bucket"] is not None
        }
        return checksums, {row["bucket"] for row in answer if row["impossible"]}

    async def _compare_between(self, keys: KeySpan, changed: _Changed | None, *, only_changed: bool) -> None:
        parameters = (keys.first, keys.last, *((changed.ranges,) if changed else ()))
        which = only_changed if changed else None
        await self._compare(
            self._at.source.stream(self._expected.between(changed=which), *parameters),
            self._at.warehouse.stream(self._found.between(changed=which), *parameters),
            changed=only_changed,
        )

    async def _compare(
        self, expected: AsyncIterator[asyncpg.Record], found: AsyncIterator[asyncpg.Record], *, changed: bool = False
    ) -> None:
        pairs: list[Pair] = []
        last: str | None = None
        async for one, other in merged(expected, found, self._key):
            key = self._text_key(one, other)
            both_sides = one is not None and other is not None
            if both_sides and one == other:
                self._tally.equal += 1
            else:
                pairs.append(Pair(key, one, other, duplicate=not both_sides and key == last))
            last = key if both_sides else last
            if len(pairs) >= PAIRS_AT_ONCE:
                await self._count(pairs, changed=changed)
                pairs.clear()
        if pairs:
            await self._count(pairs, changed=changed)

    def _text_key(self, *rows: asyncpg.Record | None) -> str:
        return next(str(row[queries.KEY]) for row in rows if row is not None)

    def _key(self, row: asyncpg.Record) -> Any:
        text = row[queries.KEY]
        return int(text) if self._is_integer else text

    async def _count(self, pairs: Sequence[Pair], *, changed: bool) -> None:
        for pair, verdict in zip(pairs, await self._judge.verdicts(pairs, changed=changed), strict=True):
            if verdict is not None:
                self._tally.add(pair.named(self._table, verdict), pair.samples(self._table))
