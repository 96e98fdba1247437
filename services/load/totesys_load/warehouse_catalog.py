"""Reads the relations of a warehouse's database that have the names that load uses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from totesys.connection import Connection
from totesys.schema import ETL


@dataclass(frozen=True)
class ColumnSequence:
    """The sequence that numbers a column. `last` is None if it has given no number, or if the role may not read it."""

    name: str
    last: int | None
    cache: int
    increment: int
    cycle: bool
    usable: bool
    settable: bool


@dataclass(frozen=True)
class WarehouseColumn:
    """A column. `kind` is its type as `format_type` prints it, `default` the SQL of its default or its generation."""

    name: str
    kind: str
    not_null: bool
    default: str | None
    identity: str
    generated: bool
    deterministic: bool
    sequence: ColumnSequence | None
    comment: str | None

    @property
    def required(self) -> bool:
        """Whether an INSERT must provide a value."""
        return self.not_null and self.default is None and not self.identity


@dataclass(frozen=True)
class Constraint:
    """A CHECK (`c`), exclusion (`x`) or foreign key (`f`) constraint. `columns` refer to `target_columns`."""

    name: str
    kind: str
    definition: str
    columns: tuple[str, ...]
    target: str | None
    target_columns: tuple[str, ...]


@dataclass(frozen=True)
class Index:
    """A valid index. A column that is an expression is None. A `partial` index omits some rows."""

    name: str
    unique: bool
    partial: bool
    columns: tuple[str | None, ...]


@dataclass(frozen=True)
class Relation:
    """The relation that has a name. `kind` is its `relkind`, `lacking` the privileges that the role does not have."""

    schema: str
    name: str
    kind: str
    logged: bool
    related: bool
    owned: bool
    row_security: bool
    comment: str | None
    definition: str | None
    lacking: tuple[str, ...]
    columns: tuple[WarehouseColumn, ...]
    constraints: tuple[Constraint, ...]
    indexes: tuple[Index, ...]
    triggers: tuple[str, ...]
    rules: tuple[str, ...]
    referenced_by: tuple[str, ...]


@dataclass(frozen=True)
class WarehouseCatalog:
    """The relations by schema and name, the current role, and for each existing schema whether the role may use it."""

    role: str
    schemas: Mapping[str, bool]
    relations: Mapping[tuple[str, str], Relation]

    def may_add_columns(self, found: Relation) -> bool:
        """Whether load may add columns to a table: it owns the table and has loaded this warehouse before.

        In a warehouse of another tool, a missing column may exist under another name.
        """
        return found.owned and (ETL, "run") in self.relations


_SEQUENCE = """
    SELECT json_build_object(
        'name', format('%I.%I', sn.nspname, s.relname), 'cache', q.seqcache, 'increment', q.seqincrement,
        'cycle', q.seqcycle, 'usable', has_sequence_privilege(s.oid, 'USAGE, UPDATE'),
        'settable', has_sequence_privilege(s.oid, 'UPDATE'),
        'last', CASE WHEN has_sequence_privilege(s.oid, 'USAGE, SELECT') THEN pg_sequence_last_value(s.oid) END)
    FROM pg_depend p JOIN pg_sequence q ON q.seqrelid IN (p.objid, p.refobjid)
    JOIN pg_class s ON s.oid = q.seqrelid JOIN pg_namespace sn ON sn.oid = s.relnamespace
    WHERE (p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass AND p.objid = q.seqrelid
           AND p.refobjid = c.oid AND p.refobjsubid = a.attnum AND p.deptype = 'i')
       OR (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
           AND p.refobjid = q.seqrelid AND pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%::regclass)')
    LIMIT 1"""
_COLUMNS = f"""
    SELECT json_agg(json_build_object(
        'name', a.attname, 'kind', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
        'default', pg_get_expr(d.adbin, d.adrelid), 'identity', a.attidentity, 'generated', a.attgenerated <> '',
        'deterministic', coalesce((SELECT collisdeterministic FROM pg_collation WHERE oid = a.attcollation), true),
        'sequence', ({_SEQUENCE}), 'comment', col_description(c.oid, a.attnum)) ORDER BY a.attnum)
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"""


def _names(relation: str, numbers: str) -> str:
    return (
        f"(SELECT coalesce(json_agg(b.attname ORDER BY k.place), '[]') FROM unnest({numbers}) WITH ORDINALITY "
        f"AS k (number, place) LEFT JOIN pg_attribute b ON b.attrelid = {relation} AND b.attnum = k.number "
        "AND k.number > 0)"
    )


_CONSTRAINTS = f"""
    SELECT json_agg(json_build_object(
        'name', o.conname, 'kind', o.contype, 'definition', pg_get_constraintdef(o.oid),
        'columns', {_names("o.conrelid", "o.conkey")}, 'target_columns', {_names("o.confrelid", "o.confkey")},
        'target', (SELECT format('%s.%s', tn.nspname, t.relname) FROM pg_class t
                   JOIN pg_namespace tn ON tn.oid = t.relnamespace WHERE t.oid = o.confrelid)) ORDER BY o.conname)
    FROM pg_constraint o WHERE o.conrelid = c.oid AND o.contype IN ('c', 'x', 'f')"""
_INDEXES = f"""
    SELECT json_agg(json_build_object(
        'name', ic.relname, 'unique', i.indisunique, 'partial', i.indpred IS NOT NULL,
        'columns', {_names("c.oid", "(i.indkey::int2[])[0:i.indnkeyatts - 1]")}) ORDER BY ic.relname)
    FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND i.indisvalid AND NOT i.indisexclusion"""
_RELATIONS = f"""
SELECT json_build_object(
    'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'logged', c.relpersistence = 'p',
    'related', EXISTS (SELECT FROM pg_inherits h WHERE c.oid IN (h.inhrelid, h.inhparent)),
    'owned', pg_has_role(c.relowner, 'USAGE'), 'row_security', row_security_active(c.oid),
    'comment', obj_description(c.oid, 'pg_class'),
    'definition', CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END,
    'lacking', ARRAY(SELECT r FROM unnest('{{SELECT,INSERT,UPDATE,DELETE}}'::text[]) AS r
                     WHERE c.relkind = 'r' AND NOT has_table_privilege(c.oid, r)),
    'columns', coalesce(({_COLUMNS}), '[]'),
    'constraints', coalesce(({_CONSTRAINTS}), '[]'),
    'indexes', coalesce(({_INDEXES}), '[]'),
    'triggers', ARRAY(SELECT t.tgname FROM pg_trigger t
                      WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') ORDER BY 1),
    'rules', ARRAY(SELECT w.rulename FROM pg_rewrite w
                   WHERE w.ev_class = c.oid AND w.rulename <> '_RETURN' AND w.ev_enabled <> 'D' ORDER BY 1),
    'referenced_by', ARRAY(SELECT format('%s of %s', o.conname, o.conrelid::regclass) FROM pg_constraint o
                           WHERE o.contype = 'f' AND o.confrelid = c.oid ORDER BY 1))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN unnest($1::text[], $2::text[]) AS wanted (nspname, relname)
    ON wanted.nspname = n.nspname AND wanted.relname = c.relname
"""
_SCHEMAS = "SELECT nspname, has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = ANY ($1::text[])"

_RELATION = TypeAdapter(Relation)


async def read_warehouse_catalog(connection: Connection, names: Iterable[tuple[str, str]]) -> WarehouseCatalog:
    """The relations with these names of (schema, relation)."""
    wanted = list(names)
    schemas, tables = [schema for schema, _ in wanted], [name for _, name in wanted]
    rows = await connection.fetch(_RELATIONS, schemas, tables)
    found = [_RELATION.validate_json(row[0]) for row in rows]
    return WarehouseCatalog(
        role=await connection.fetchval("SELECT quote_ident(current_user)"),
        schemas={row[0]: row[1] for row in await connection.fetch(_SCHEMAS, schemas)},
        relations={(relation.schema, relation.name): relation for relation in found},
    )
