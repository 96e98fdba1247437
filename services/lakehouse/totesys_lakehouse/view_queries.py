"""The queries behind the views, generated from the declarations. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from totesys.schema import Model, Reference
from totesys.sql import literal
from totesys.sql_keys import ESCAPE
from totesys.table import Fact, WarehouseTable
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
        partition = f"PARTITION BY {self._key(table, 'v')} ORDER BY v.{q(RUN)} DESC"
        newest = (
            f"SELECT {self._columns(table, 'v')}, row_number() OVER ({partition}) AS {q(_AGE)} "
            f"FROM {self._versions(table, cut)} AS v WHERE {' AND '.join(self._resolved(table, cut)) or '1 = 1'}"
        )
        query = f"{self._with(cut)} SELECT {self._columns(table, 'n')} FROM ({newest}) AS n"
        if not isinstance(table.declared, Fact):
            return f"{query} WHERE n.{q(_AGE)} = 1"
        return f"{query} {self._deletions(table, 'n')} WHERE n.{q(_AGE)} = 1 AND {self._kept('n')}"

    def history(self, table: LakehouseTable) -> str:
        """Every version that differs from the one before it, as the Postgres warehouse has them."""
        q = self.dialect.identifier
        window = f"OVER (PARTITION BY {self._key(table, 'v')} ORDER BY v.{q(RUN)})"
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
        key = self._key(table, "v")
        joins, resolved = self._resolved_by_join(table)
        marked = (
            f"SELECT {self._columns(table, 'v')}, max(v.{q(RUN)}) OVER (PARTITION BY {key}) AS {q(_NEWEST_RUN)}, "
            f"max(CASE WHEN {resolved} THEN v.{q(RUN)} END) OVER (PARTITION BY {key}) AS {q(_RESOLVED_RUN)} "
            f"FROM {self._delivered(table)} AS v {joins} WHERE v.{q(RUN)} <= {self._last_run()}"
        )
        return (
            f"{self._with(Cut())} SELECT {self._columns(table, 'n')}, {self._last_run()} AS {q(BASE_RUN)}, "
            f"{self._ago()} AS {q(BUILT_AT)} FROM ({marked}) AS n "
            f"{self._deletions(table, 'n')} "
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

    def _deletions(self, table: LakehouseTable, relation: str) -> str:
        """Joins the newest deletion of each key of the relation as `d`."""
        q, declared = self.dialect.identifier, _declared(table)
        name = q("id" if declared.has_integer_key else "key")
        key = self._key(table, relation) if declared.has_integer_key else self._key_text(table, relation)
        newest = (
            f"SELECT {name}, max({q(RUN)}) AS {q(RUN)} FROM {self.dialect.qualified(self.tables, DELETION)} "
            f"WHERE {q('table_name')} = {literal(table.name)} AND {q(RUN)} <= {self._last_run()} GROUP BY {name}"
        )
        return f"LEFT JOIN ({newest}) AS d ON d.{name} = {key}"

    def _kept(self, relation: str, run: str = RUN) -> str:
        """True where the key was not deleted after its newest row."""
        q = self.dialect.identifier
        return f"(d.{q(RUN)} IS NULL OR d.{q(RUN)} < {relation}.{q(run)})"

    def _resolved(self, table: LakehouseTable, cut: Cut) -> list[str]:
        """Conditions: each dimension row that a version refers to has arrived. Until then it is not shown."""
        q = self.dialect.identifier
        last = self._last_run(_CUT if cut == Cut() else "totesys_readable")
        return [
            f"({self._is_null(one)} OR ({self._list(one.columns, 'v')}) IN (SELECT "
            f"{self._list(one.dimension.key_names)} "
            f"FROM {self.dialect.qualified(self.tables, one.dimension.name)} WHERE {q(RUN)} <= {last}))"
            for one in self._references(table)
        ]

    def _resolved_by_join(self, table: LakehouseTable) -> tuple[str, str]:
        """The same for engines that take no subquery in an expression: joins, and a condition."""
        q = self.dialect.identifier
        joins, conditions = [], ["1 = 1"]
        for number, one in enumerate(self._references(table)):
            relation = self.dialect.qualified(self.tables, one.dimension.name)
            names = [f"k{place}" for place in range(len(one.columns))] if len(one.columns) > 1 else ["k"]
            pairs = zip(one.dimension.key_names, names, strict=True)
            keys = ", ".join(f"{q(key)} AS {name}" for key, name in pairs)
            keys = f"SELECT DISTINCT {keys} FROM {relation} WHERE {q(RUN)} <= {self._last_run()}"
            same = " AND ".join(f"r{number}.{name} = v.{q(column)}"
                                for name, column in zip(names, one.columns, strict=True))  # fmt: skip
            joins.append(f"LEFT JOIN ({keys}) AS r{number} ON {same}")
            conditions.append(f"({self._is_null(one)} OR r{number}.{names[0]} IS NOT NULL)")
        return " ".join(joins), " AND ".join(conditions)

    def _references(self, table: LakehouseTable) -> tuple[Reference, ...]:
        return self.model.references(_declared(table))

    def _is_null(self, reference: Reference) -> str:
        return " OR ".join(f"v.{self.dialect.identifier(column)} IS NULL" for column in reference.columns)

    def _delivered(self, table: LakehouseTable) -> str:
        return self.dialect.qualified(self.tables, table.name)

    def _columns(self, table: LakehouseTable, relation: str = "") -> str:
        return self._list(table.column_names, relation)

    def _list(self, names: Iterable[str], relation: str = "") -> str:
        prefix = f"{relation}." if relation else ""
        return ", ".join(f"{prefix}{self.dialect.identifier(name)}" for name in names)

    def _key(self, table: LakehouseTable, relation: str) -> str:
        return self._list(_declared(table).key_names, relation)

    def _key_text(self, table: LakehouseTable, relation: str) -> str:
        """The text of a key, as `totesys.sql_keys` has it."""
        names = _declared(table).key_names
        texts = [f"CAST({relation}.{self.dialect.identifier(name)} AS {self.dialect.text})" for name in names]
        if len(texts) == 1:
            return texts[0]
        escaped = (f"replace(replace({text}, '{ESCAPE}', '{ESCAPE}{ESCAPE}'), ',', '{ESCAPE},')" for text in texts)
        return " || ',' || ".join(escaped)


def _declared(table: LakehouseTable) -> WarehouseTable:
    assert table.declared is not None
    return table.declared
