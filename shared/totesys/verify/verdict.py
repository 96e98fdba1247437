"""The verdict on a row that differs: wrong, or explained by the source or the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg

from totesys.schema import Reference
from totesys.source_relations import rows_of
from totesys.sql import column_list, ident, literal, qualified
from totesys.sql_keys import key_among, key_text, keys_parameter, same_value
from totesys.table import Fact, WarehouseTable
from totesys.verify import queries, run_ledger
from totesys.verify.snapshots import Snapshots
from totesys.verify.verification_result import Sample, UnequalRow, Verdict


@dataclass(frozen=True)
class Pair:
    """A row that differs. `duplicate`: the other side has its key, but less often."""

    key: str
    expected: asyncpg.Record | None
    found: asyncpg.Record | None
    duplicate: bool = False

    def columns(self, table: WarehouseTable) -> tuple[str, ...]:
        """The columns that differ; for a row on one side only, the key."""
        if self.expected is None or self.found is None:
            return table.key_names
        return tuple(name for name in table.column_names if self.expected[name] != self.found[name])

    def named(self, table: WarehouseTable, verdict: Verdict) -> UnequalRow:
        """The row as a result names it."""
        return UnequalRow(self.key, verdict, self.columns(table))

    def samples(self, table: WarehouseTable) -> list[Sample]:
        """The values that differ."""
        sides = (self.expected, self.found)
        return [
            Sample(self.key, name, *(None if side is None else side[name] for side in sides))
            for name in self.columns(table)
        ]

    @property
    def kind(self) -> Verdict:
        """The verdict, unless something explains the difference."""
        if self.expected is None:
            return Verdict.EXTRA
        return Verdict.MISSING if self.found is None else Verdict.DIFFERING


@dataclass
class Judge:
    """Gives the verdicts on the unequal rows of one table."""

    at: Snapshots
    table: WarehouseTable
    _changed: bool | None = field(default=None, init=False)

    async def verdicts(self, pairs: Sequence[Pair], *, changed: bool) -> list[Verdict | None]:
        """The verdict on each row; None if it is already counted as quarantined. `changed`: all keys have changed."""
        if not self.table.sources:
            return await self._of_references(pairs)
        extra = [pair.key for pair in pairs if pair.expected is None]
        unloaded = [pair.key for pair in pairs if pair.expected is not None and self._may_wait(pair)]
        impossible = await self._impossible(extra)
        unreadable = await self._unreadable([pair.key for pair in pairs if pair.expected is not None])
        unresolved, awaited = await self._unresolved(unloaded), await self._awaited(unloaded)
        loaded = await self._loaded(extra) - await self._in_source(extra)
        changed = changed or await self._any_changed()

        def judge(pair: Pair) -> Verdict | None:
            if pair.duplicate:
                return pair.kind
            if pair.key in impossible:
                return None
            if pair.key in unresolved or pair.key in unreadable:
                return Verdict.QUARANTINED
            if changed or pair.key in awaited:
                return Verdict.CHANGED_SINCE
            return Verdict.DELETED_SINCE if pair.key in loaded else pair.kind

        return [judge(pair) for pair in pairs]

    async def _of_references(self, pairs: Sequence[Pair]) -> list[Verdict | None]:
        """The days that no fact refers to are added by the next run with the table."""
        missing = [pair.key for pair in pairs if pair.found is None]
        at = self.at
        if (
            not missing
            or not at.newest_run
            or await run_ledger.is_built_today(at.warehouse, at.source, self.table.name)
        ):
            return [pair.kind for pair in pairs]
        referenced = queries.referenced_keys(self.at.model, self.table, self.at.schema)
        rows = await self.at.warehouse.rows(
            f"SELECT key::text FROM ({referenced}) AS referenced WHERE key::text = ANY ($1)", missing
        )
        later = set(missing) - {row["key"] for row in rows}
        return [Verdict.CHANGED_SINCE if pair.key in later else pair.kind for pair in pairs]

    async def _impossible(self, keys: list[str]) -> set[str]:
        """The keys whose rows in the source cannot be in the warehouse, which may have an older version."""
        rows = queries.expected_rows(self.at.model, self.table, self.at.schema, self.at.source.encoding)
        return await self._source_keys(rows.impossible(rows.key_in()), keys)

    async def _unreadable(self, keys: list[str]) -> set[str]:
        """The keys whose rows in the source transform cannot read, whatever the reference query gives."""
        query = queries.unreadable_sources(self.at.model, self.table, self.at.source.encoding)
        return await self._source_keys(query, keys) if query else set()

    def _may_wait(self, pair: Pair) -> bool:
        """Whether the version may be missing because a dimension's row is."""
        references = {column.name for column in self.table.columns if column.references}
        return pair.found is None or not references.isdisjoint(pair.columns(self.table))

    async def _unresolved(self, keys: list[str]) -> set[str]:
        """The keys of fact rows with references that the source doesn't have."""
        encoding = self.at.source.encoding
        tests = [
            f"NOT EXISTS (SELECT FROM ({one.dimension.reference_query}) AS dimension WHERE "
            f"{same_value(one.dimension, 'dimension', 'side', one.columns)} "
            f"AND {queries.possible(one.dimension, 'dimension', encoding)})"
            for one in self._references()
        ]
        return await self._referring(tests, keys)

    async def _awaited(self, keys: list[str]) -> set[str]:
        """The keys of fact rows that refer to a dimension row that may have arrived since the newest run."""
        return await self._referring(
            [self._came_since(one) for one in self._references()] if self.at.newest_run else [],
            keys,
        )

    def _came_since(self, reference: Reference) -> str:
        first, *joined = (self.at.model.source(name) for name in reference.dimension.sources)
        own = f"SELECT FROM {rows_of(first, 'own')} WHERE {same_value(first, 'own', 'side', reference.columns)}"
        others = [f"SELECT FROM {rows_of(other, 'other')} WHERE {self.at.since(other, 'other')}" for other in joined]
        return " OR ".join(f"EXISTS ({query})" for query in (f"{own} AND {self.at.since(first, 'own')}", *others))

    async def _referring(self, tests: list[str], keys: list[str]) -> set[str]:
        if not tests:
            return set()
        met = " OR ".join(f"(num_nulls({column_list(one.columns, 'side')}) = 0 AND ({test}))"
                          for one, test in zip(self._references(), tests, strict=True))  # fmt: skip
        query = (
            f"SELECT {key_text(self.table, 'side')} FROM ({self.table.reference_query}) AS side "
            f"WHERE {key_among(self.table, 'side')} AND ({met})"
        )
        return await self._source_keys(query, keys)

    async def _source_keys(self, query: str, keys: list[str]) -> set[str]:
        if not keys:
            return set()
        return {row[0] for row in await self.at.source.rows(query, keys_parameter(self.table, keys))}

    def _references(self) -> tuple[Reference, ...]:
        return self.at.model.references(self.table)

    async def _loaded(self, keys: list[str]) -> set[str]:
        """The keys that a run has loaded: the source had them, and has deleted them since.

        The rows of a dimension don't name their run: if any row comes from a run, all are taken to.
        """
        if not keys or not self.at.newest_run:
            return set()
        if not isinstance(self.table, Fact):
            return set(keys) if await run_ledger.written_by_runs(self.at.warehouse, self.table.name) else set()
        record_id = f"fact.{ident(self.table.record_id)}"
        rows = await self.at.warehouse.rows(
            f"SELECT {key_text(self.table, 'fact')} FROM {qualified(self.at.schema, self.table.current)} AS fact "
            f"WHERE {key_among(self.table, 'fact')} AND EXISTS (SELECT FROM {run_ledger.RUN_TABLE} AS run "
            f"WHERE run.table_name = {literal(self.table.name)} "
            f"AND {record_id} BETWEEN run.first_record_id AND run.last_record_id)",
            keys_parameter(self.table, keys),
        )
        return {row[0] for row in rows}

    async def _in_source(self, keys: list[str]) -> set[str]:
        """The keys that the first source has: only the table's build function can have left their rows out."""
        first = self.at.model.source(self.table.sources[0])
        query = f"SELECT {key_text(first, 'own')} FROM {rows_of(first, 'own')} WHERE {key_among(first, 'own')}"
        return await self._source_keys(query, keys)

    async def _any_changed(self) -> bool:
        """Whether any row of the sources has changed since the newest run, if that can't be decided by key."""
        if not self.at.newest_run or queries.can_track_keys(self.at.model, self.table):
            return False
        if self._changed is None:
            sources = [self.at.model.source(name) for name in self.table.sources]
            tests = (f"EXISTS (SELECT FROM {rows_of(one, 'own')} WHERE {self.at.since(one, 'own')})" for one in sources)
            self._changed = bool(await self.at.source.value(f"SELECT {' OR '.join(tests)}"))
        return self._changed
