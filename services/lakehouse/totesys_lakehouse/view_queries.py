"""The queries behind the views, generated from the declarations. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from totesys.schema import Model
from totesys.sql import literal
from totesys.table import Dimension, Fact
from totesys_lakehouse.lakehouse_tables import DELETION, LEDGER, RUN, SNAPSHOT_TIME, LakehouseTable
from totesys_lakehouse.view_dialects import Dialect

# Seconds that a run has to be committed for before a query reads it: more than clocks differ and a commit takes.
MARGIN_SECONDS = 5
_AGE, _NEWEST_RUN, _RESOLVED_RUN, _CUT = "totesys_age", "totesys_newest", "totesys_resolved", "totesys_cut"
BASE_RUN, BUILT_AT = "base_run", "built_at"
_NEVER = datetime(1970, 1, 1)  # noqa: DTZ001 - as the tables hold timestamps: UTC, without a zone


@dataclass(frozen=True)
class Cut:
    """Which runs a query reads: all that are readable, or those up to a run, or to a snapshot's timestamp (UTC)."""

    run: int | None = None
    moment: datetime | None = None


@dataclass(frozen=True)
class Queries:
    """Queries over the tables in the schema `tables`. `bases` are the facts whose base table is to be used."""

    model: Model
    dialect: Dialect
    tables: str
    margin_seconds: int = MARGIN_SECONDS
    bases: frozenset[str] = frozenset()

    def current(self, table: LakehouseTable, cut: Cut = Cut()) -> str:
        """The newest version of each key: of a fact, without deleted keys and unresolved references."""
        q = self.dialect.identifier
        partition = f"PARTITION BY v.{q(self._key(table))} ORDER BY v.{q(RUN)} DESC"
        newest = (
            f"SELECT {self._columns(table, 'v')}, row_number() OVER ({partition}) AS {q(_AGE)} "
            f"FROM {self._versions(table, cut)} AS v WHERE {' AND '.join(self._resolved(table, cut)) or '1 = 1'}"
        )
        query = f"{self._with(cut)} SELECT {self._columns(table, 'n')} FROM ({newest}) AS n"
        if not isinstance(table.declared, Fact):
            return f"{query} WHERE n.{q(_AGE)} = 1"
        return (
            f"{query} {self._deletions(table, f'n.{q(self._key(table))}')} WHERE n.{q(_AGE)} = 1 AND {self._kept('n')}"
        )

    def history(self, table: LakehouseTable) -> str:
        """Every version that differs from the one before it, as the Postgres warehouse has them."""
        q = self.dialect.identifier
        window = f"OVER (PARTITION BY v.{q(self._key(table))} ORDER BY v.{q(RUN)})"
        names = [RUN, *(column.name for column in table.value_columns)]
        before = {name: q(f"totesys_before_{number}") for number, name in enumerate(names)}
        lags = ", ".join(f"lag(v.{q(name)}) {window} AS {alias}" for name, alias in before.items())
        same = " AND ".join(self.dialect.same(f"v.{q(name)}", f"v.{before[name]}") for name in names[1:])
        cut = Cut()
        conditions = [f"(v.{before[RUN]} IS NULL OR NOT ({same}))", *self._resolved(table, cut)]
        delivered = f"SELECT v.*, {lags} FROM {self._delivered(table)} AS v WHERE v.{q(RUN)} <= {self._last_run()}"
        columns = self._columns(table, "v")
        return f"{self._with(cut)} SELECT {columns} FROM ({delivered}) AS v WHERE {' AND '.join(conditions)}"

    def base(self, table: LakehouseTable) -> str:
        """What a fact's base table holds: each key's newest version, and newer ones with unresolved references."""
        q = self.dialect.identifier
        key = f"v.{q(self._key(table))}"
        joins, resolved = self._resolved_by_join(table)
        marked = (
            f"SELECT {self._columns(table, 'v')}, max(v.{q(RUN)}) OVER (PARTITION BY {key}) AS {q(_NEWEST_RUN)}, "
            f"max(CASE WHEN {resolved} THEN v.{q(RUN)} END) OVER (PARTITION BY {key}) AS {q(_RESOLVED_RUN)} "
            f"FROM {self._delivered(table)} AS v {joins} WHERE v.{q(RUN)} <= {self._last_run()}"
        )
        return (
            f"{self._with(Cut())} SELECT {self._columns(table, 'n')}, {self._last_run()} AS {q(BASE_RUN)}, "
            f"{self._ago()} AS {q(BUILT_AT)} FROM ({marked}) AS n "
            f"{self._deletions(table, f'n.{q(self._key(table))}')} "
            f"WHERE n.{q(RUN)} >= coalesce(n.{q(_RESOLVED_RUN)}, 0) AND {self._kept('n', _NEWEST_RUN)}"
        )

    def base_name(self, table: LakehouseTable) -> str:
        """The name of a fact's base table."""
        return f"{table.name}_base"

    def _with(self, cut: Cut) -> str:
        """The runs that are read, as relation `cut`; references are resolved by all that are `readable`."""
        q = self.dialect.identifier
        ledger = self.dialect.qualified(self.tables, LEDGER)
        readable = f"SELECT max({q(RUN)}) AS {q(RUN)} FROM {ledger} WHERE {q('committed_at')} <= {self._ago()}"
        if cut.run is not None:
            chosen = f"{readable} AND {q(RUN)} <= {cut.run}"
        elif cut.moment is not None:
            chosen = f"{readable} AND {q(SNAPSHOT_TIME)} <= {self.dialect.literal(cut.moment)}"
        else:
            return f"WITH {_CUT} AS ({readable})"
        return f"WITH {_CUT} AS ({chosen}), totesys_readable AS ({readable})"

    def _ago(self) -> str:
        return self.dialect.ago.format(seconds=self.margin_seconds)

    def _last_run(self, relation: str = _CUT) -> str:
        return f"(SELECT {self.dialect.identifier(RUN)} FROM {relation})"

    def _versions(self, table: LakehouseTable, cut: Cut) -> str:
        """The delivered rows that count: all, or those of the base table and what came after it."""
        q = self.dialect.identifier
        columns = self._columns(table)
        delivered = f"SELECT {columns} FROM {self._delivered(table)} WHERE {q(RUN)} <= {self._last_run()}"
        if table.name not in self.bases or cut != Cut():
            return f"({delivered})"
        base = self.dialect.qualified(self.tables, self.base_name(table))
        ledger = self.dialect.qualified(self.tables, LEDGER)
        replayed = f"SELECT max({q('replayed_at')}) FROM {ledger}"
        # A base that is newer than the runs that this query reads, or older than a replay, is left alone.
        valid = (
            f"(SELECT coalesce(max({q(BASE_RUN)}), 0) FROM {base} WHERE {q(BASE_RUN)} <= {self._last_run()} "
            f"AND {q(BUILT_AT)} > coalesce(({replayed}), {self.dialect.literal(_NEVER)}))"
        )
        return (
            f"(SELECT {columns} FROM {base} WHERE {q(BASE_RUN)} = {valid} UNION ALL {delivered} AND {q(RUN)} > {valid})"
        )

    def _deletions(self, table: LakehouseTable, key: str) -> str:
        """Joins the newest deletion of each key as `d`."""
        q = self.dialect.identifier
        newest = (
            f"SELECT {q('id')}, max({q(RUN)}) AS {q(RUN)} FROM {self.dialect.qualified(self.tables, DELETION)} "
            f"WHERE {q('table_name')} = {literal(table.name)} AND {q(RUN)} <= {self._last_run()} GROUP BY {q('id')}"
        )
        return f"LEFT JOIN ({newest}) AS d ON d.{q('id')} = {key}"

    def _kept(self, relation: str, run: str = RUN) -> str:
        """True where the key was not deleted after its newest row."""
        q = self.dialect.identifier
        return f"(d.{q(RUN)} IS NULL OR d.{q(RUN)} < {relation}.{q(run)})"

    def _resolved(self, table: LakehouseTable, cut: Cut) -> list[str]:
        """Conditions: each dimension row that a version refers to has arrived. Until then it is not shown."""
        q = self.dialect.identifier
        last = self._last_run(_CUT if cut == Cut() else "totesys_readable")
        return [
            f"(v.{q(column)} IS NULL OR v.{q(column)} IN (SELECT {q(dimension.key)} "
            f"FROM {self.dialect.qualified(self.tables, dimension.name)} WHERE {q(RUN)} <= {last}))"
            for column, dimension in self._references(table)
        ]

    def _resolved_by_join(self, table: LakehouseTable) -> tuple[str, str]:
        """The same for engines that take no subquery in an expression: joins, and a condition."""
        q = self.dialect.identifier
        joins, conditions = [], ["1 = 1"]
        for number, (column, dimension) in enumerate(self._references(table)):
            relation = self.dialect.qualified(self.tables, dimension.name)
            keys = f"SELECT DISTINCT {q(dimension.key)} AS k FROM {relation} WHERE {q(RUN)} <= {self._last_run()}"
            joins.append(f"LEFT JOIN ({keys}) AS r{number} ON r{number}.k = v.{q(column)}")
            conditions.append(f"(v.{q(column)} IS NULL OR r{number}.k IS NOT NULL)")
        return " ".join(joins), " AND ".join(conditions)

    def _references(self, table: LakehouseTable) -> Iterable[tuple[str, Dimension]]:
        """The columns of a fact that refer to a dimension with sources; others hold every key by construction."""
        if not isinstance(table.declared, Fact):
            return
        for column in table.declared.columns:
            if column.references:
                dimension = self.model.table(column.references)
                if isinstance(dimension, Dimension) and dimension.sources:
                    yield column.name, dimension

    def _delivered(self, table: LakehouseTable) -> str:
        return self.dialect.qualified(self.tables, table.name)

    def _columns(self, table: LakehouseTable, relation: str = "") -> str:
        prefix = f"{relation}." if relation else ""
        return ", ".join(f"{prefix}{self.dialect.identifier(name)}" for name in table.column_names)

    def _key(self, table: LakehouseTable) -> str:
        assert table.declared is not None
        return table.declared.key
