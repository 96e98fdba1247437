"""The SQL of verification for either side's rows of a warehouse table."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from totesys.encodings import UTF8, as_utf8
from totesys.representable import texts, too_long, unrepresentable
from totesys.schema import Model
from totesys.source_relations import rows_of
from totesys.sql import column_list, ident, literal, qualified
from totesys.sql_keys import is_deletion_of, key_among, key_list, key_text
from totesys.table import Capture, Fact, SourceTable, WarehouseTable
from totesys.types import ColumnType, Kind
from totesys.verify.run_ledger import DELETION

# In a row that is too long, the columns with more bytes than this are named.
NAMED_BYTES = 1024 * 1024
# The text of a row's key, beside its columns.
KEY = "totesys key"


@dataclass(frozen=True)
class SideQueries:
    """The queries of a side's rows: of a relation, aliased `side`, with the declared columns.

    `values` are the column expressions for hashes, `texts` for comparison. `possible` is true of a row that can be in
    the warehouse; `faults` are true, by column, of what makes it impossible. `stored` is a relation with at least the
    same keys, whose least and greatest are found quickly. Text is hashed and sorted by its bytes in UTF-8, whatever the
    database's `encoding` is.
    """

    table: WarehouseTable
    relation: str
    values: Mapping[str, str]
    texts: Mapping[str, str]
    possible: str = "true"
    faults: Mapping[str, str] = field(default_factory=dict)
    common: str = ""
    stored: str = ""
    encoding: str = UTF8

    @property
    def key(self) -> str:
        """The key of one integer, by whose ranges rows are compared."""
        return f"side.{ident(self.table.only_key)}"

    def span(self) -> str:
        """The least and the greatest key."""
        return f"SELECT min({self.key}) AS first, max({self.key}) AS last FROM {self.stored or self.relation} AS side"

    def checksums(self, *, changed: bool) -> str:
        """For each bucket, which is the key over $1: the rows, the sum of their hashes, and how many are impossible.

        With `changed`, rows whose key is in the ranges $2 do not count in rows and hashes.
        """
        # In a subquery, so that expressions of both the hash and the test are evaluated once.
        columns = ", ".join(f"{value} AS {ident(name)}" for name, value in self.values.items())
        kept = f"({self.possible}){f' AND NOT {self._in_ranges(2)}' if changed else ''}"
        return f"""
            SELECT {self.key}::bigint / $1::bigint AS bucket, count(*) FILTER (WHERE {kept}) AS rows,
                   sum(hash_record_extended(ROW({self._hashed()}), 0))
                       FILTER (WHERE {kept}) AS hashes,
                   count(*) FILTER (WHERE NOT ({self.possible})) AS impossible
            FROM (SELECT {columns} FROM {self.relation} AS side OFFSET 0) AS side GROUP BY 1"""

    def all(self) -> str:
        """All rows as text, in the order of their keys."""
        return self._texts(f"NOT {self.lacks_key}")

    def between(self, *, changed: bool | None = None) -> str:
        """The rows with keys from $1 to $2; with `changed`, only those in the ranges $3, or only the others."""
        if changed is None:
            return self._texts(self.key_between)
        return self._texts(f"{self.key_between} AND {'' if changed else 'NOT '}{self._in_ranges(3)}")

    def count_without_key(self) -> str:
        """The number of rows without a key."""
        return f"SELECT count(*) FROM {self.relation} AS side WHERE {self.lacks_key}"

    @property
    def lacks_key(self) -> str:
        """SQL that is true of a row without a key."""
        return f"(num_nulls({key_list(self.table, 'side')}) > 0)"

    def key_in(self) -> str:
        """SQL that is true if the key is among the keys $1."""
        return key_among(self.table, "side")

    @property
    def key_between(self) -> str:
        """SQL that is true if the key is from $1 to $2."""
        return f"{self.key} BETWEEN $1::bigint AND $2::bigint"

    def impossible(self, condition: str = "true") -> str:
        """The rows that cannot be in the warehouse: their keys, and the columns that are the reason."""
        columns = ", ".join(f"CASE WHEN {fault} THEN {literal(name)} END" for name, fault in self.faults.items())
        return (
            f"{self.common} SELECT {key_text(self.table, 'side')} AS key, "
            f"array_remove(ARRAY[{columns}]::text[], NULL) AS columns FROM {self.relation} AS side "
            f"WHERE NOT ({self.possible}) AND {condition} ORDER BY {self._order}"
        )

    def _hashed(self) -> str:
        columns = ((column, f"side.{ident(column.name)}") for column in self.table.columns)
        return ", ".join(
            as_utf8(f"{value}::text", self.encoding) if column.type.is_text else value for column, value in columns
        )

    @property
    def _order(self) -> str:
        if self.table.has_integer_key:
            return self.key
        return as_utf8(f'{key_text(self.table, "side")} COLLATE "C"', self.encoding)

    def _in_ranges(self, parameter: int) -> str:
        # In a subquery, so that the text is parsed once and not for every row.
        return f"({self.key}::bigint <@ (SELECT ${parameter}::text::int8multirange))"

    def _texts(self, condition: str) -> str:
        columns = ", ".join(f"({text})::text AS {ident(name)}" for name, text in self.texts.items())
        return (
            f"{self.common} SELECT {key_text(self.table, 'side')} AS {ident(KEY)}, {columns} "
            f"FROM {self.relation} AS side WHERE {self.possible} AND {condition} "
            f"ORDER BY {self._order}"
        )


def faults(table: WarehouseTable, relation: str = "side", encoding: str = UTF8) -> dict[str, str]:
    """By column, SQL that is true of a row that cannot become a warehouse row because of this column.

    Its value is missing or cannot be held, or the row is too long and this is one of its long texts.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for column in table.columns:
        if not column.nullable:
            found[column.name].append(f"{relation}.{ident(column.name)} IS NULL")
        if test := unrepresentable(column, relation, encoding):
            found[column.name].append(test)
    if test := too_long(table.columns, relation):
        for name in texts(table.columns):
            found[name].append(f"(octet_length({relation}.{ident(name)}::text) > {NAMED_BYTES} AND {test})")
    return {name: " OR ".join(tests) for name, tests in found.items()}


def possible(table: WarehouseTable, relation: str = "side", encoding: str = UTF8) -> str:
    """SQL that is true of a row that can become a warehouse row."""
    required = [column.name for column in table.columns if not column.nullable]
    tests = [unrepresentable(column, relation, encoding) for column in table.columns]
    wrong = [test for test in (*tests, too_long(table.columns, relation)) if test]
    return " AND ".join([f"num_nulls({column_list(required, relation)}) = 0", *(f"NOT ({test})" for test in wrong)])


def unreadable_sources(model: Model, table: WarehouseTable, encoding: str = UTF8) -> str | None:
    """Those of the keys $1, as text, whose row of the first source transform cannot read; None if it reads all.

    The reference query may still give a row for them.
    """
    source = model.source(table.sources[0])
    named = {name for column in table.columns for name in model.source_columns(table, column)}
    used = [column for column in source.columns if f"{source.name}.{column.name}" in named]
    tests = [unrepresentable(column, "source", encoding) for column in used]
    if texts(used):
        tests.append(too_long(source.columns, "source"))
    met = " OR ".join(f"({test})" for test in tests if test)
    return met and (
        f"SELECT {key_text(source, 'source')} FROM {rows_of(source, 'source')} "
        f"WHERE {key_among(source, 'source')} AND ({met})"
    )


def expected_rows(model: Model, table: WarehouseTable, schema: str, encoding: str = UTF8) -> SideQueries:
    """The rows of the reference query: over the source, or for a dimension without sources over the warehouse.

    `encoding` is that of the database that runs it.
    """
    values = {c.name: f"CAST(side.{ident(c.name)} AS {c.type.postgres})" for c in table.columns}
    texts = {c.name: _as_declared(value, c.type) if c.type.postgres == "numeric" else value
             for c, value in zip(table.columns, values.values(), strict=True)}  # fmt: skip
    common = "" if table.sources else f"WITH referenced (key) AS MATERIALIZED ({_wanted_keys(model, table, schema)})"
    return SideQueries(
        table,
        f"({table.reference_query})",
        values,
        texts,
        possible(table, encoding=encoding),
        faults(table, encoding=encoding),
        common,
        encoding=encoding,
    )


def found_rows(table: WarehouseTable, schema: str, *, ledger: bool) -> SideQueries:
    """The rows of the warehouse: a fact's current versions, a dimension's rows that are not marked as deleted.

    Values are not cast to the declared types, which could hide a difference.
    """
    values = {name: f"side.{ident(name)}" for name in table.column_names}
    texts = {
        c.name: _as_declared(values[c.name], c.type) if c.type.kind is Kind.DECIMAL else values[c.name]
        for c in table.columns
    }
    stored = qualified(schema, table.name)
    if isinstance(table, Fact):
        return SideQueries(table, qualified(schema, table.current), values, texts, stored=stored)
    relation = stored
    if ledger and table.sources:
        relation = (
            f"(SELECT * FROM {relation} AS dimension WHERE NOT EXISTS (SELECT FROM {DELETION} AS deletion "
            f"WHERE deletion.table_name = {literal(table.name)} AND {is_deletion_of(table, 'deletion', 'dimension')} "
            "AND deletion.returned_run IS NULL))"
        )
    return SideQueries(table, relation, values, texts, stored=stored)


def _as_declared(value: str, declared: ColumnType) -> str:
    """A number with the declared scale, unless that would change it; without one, with the fewest decimals."""
    if declared.postgres == "numeric":
        return f"trim_scale({value})"
    scale = declared.digits[1]
    return f"CASE WHEN {value} = round({value}, {scale}) THEN round({value}, {scale}) ELSE {value} END"


def changed_keys(source: SourceTable, since: str) -> str:
    """The keys of the source's rows for which `since` is true: their ranges, the least and the greatest."""
    changed = f"SELECT {key_list(source, 'own')}::bigint AS key FROM {rows_of(source, 'own')} WHERE {since}"
    return f"""
        SELECT range_agg(int8range(first, last, '[]'))::text AS ranges, min(first) AS first, max(last) AS last
        FROM (SELECT min(key) AS first, max(key) AS last
              FROM (SELECT key, key - row_number() OVER (ORDER BY key) AS island
                    FROM ({changed}) AS changed) AS numbered
              GROUP BY island) AS islands"""


def referenced_keys(model: Model, table: WarehouseTable, schema: str) -> str:
    """The distinct keys that all versions of all facts refer to."""
    kind = table.key_columns[0].type.postgres
    parts = [
        f"SELECT DISTINCT {ident(column)}::{kind} AS key FROM {qualified(schema, fact.name)} "
        f"WHERE {ident(column)} IS NOT NULL"
        for fact, column in _references_to(model, table)
    ]
    return " UNION ".join(parts) or f"SELECT NULL::{kind} AS key WHERE false"


def _wanted_keys(model: Model, table: WarehouseTable, schema: str) -> str:
    """Also the table's own keys: a row that nothing refers to is not an extra one."""
    key = key_list(table)
    own = f"SELECT {key} FROM {qualified(schema, table.name)} WHERE {key} IS NOT NULL"
    return f"{referenced_keys(model, table, schema)} UNION {own}"


def _references_to(model: Model, table: WarehouseTable) -> Iterator[tuple[Fact, str]]:
    for fact in model.facts:
        for column in fact.columns:
            if column.references == table.name:
                yield fact, column.name


def can_track_keys(model: Model, table: WarehouseTable) -> bool:
    """Whether a changed source row affects only the row of its own key, so that changes can be tracked by key."""
    captures = {model.source(name).capture for name in table.sources}
    return captures == {Capture.INCREMENTAL} and table.has_integer_key
