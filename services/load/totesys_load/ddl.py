"""The warehouse's DDL, derived from the declarations. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from totesys.schema import ETL as ETL
from totesys.schema import Model
from totesys.sql import column_list, ident, literal, qualified
from totesys.table import Column, Fact, WarehouseTable

# The ledger: which runs are in the warehouse, and what each wrote.
LEDGER = f"""
CREATE SCHEMA IF NOT EXISTS {ETL};
CREATE TABLE IF NOT EXISTS {ETL}.run (
    lake uuid, run bigint, previous bigint NOT NULL, extraction bigint NOT NULL, complete boolean NOT NULL,
    snapshot_time timestamptz NOT NULL, rows_written bigint NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    trigger text, source text, xmin_after bigint, swept boolean,
    PRIMARY KEY (lake, run));
CREATE TABLE IF NOT EXISTS {ETL}.run_table (
    lake uuid, run bigint, table_name text, rows_read bigint NOT NULL, rows_written bigint NOT NULL,
    rows_quarantined bigint NOT NULL, first_record_id bigint, last_record_id bigint,
    rows_deleted bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (lake, run, table_name), FOREIGN KEY (lake, run) REFERENCES {ETL}.run ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS {ETL}.deletion (
    table_name text, id bigint, lake uuid, run bigint, deleted_at timestamptz NOT NULL,
    returned_run bigint, returned_at timestamptz,
    PRIMARY KEY (table_name, id, lake, run), FOREIGN KEY (lake, run) REFERENCES {ETL}.run ON DELETE CASCADE);
CREATE UNIQUE INDEX IF NOT EXISTS deletion_open ON {ETL}.deletion (table_name, id) WHERE returned_run IS NULL;
CREATE TABLE IF NOT EXISTS {ETL}.orphan (
    table_name text, record_id bigint, id bigint NOT NULL, lake uuid NOT NULL, run bigint NOT NULL,
    reasons text[] NOT NULL, row jsonb NOT NULL,
    PRIMARY KEY (table_name, record_id), FOREIGN KEY (lake, run) REFERENCES {ETL}.run ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS orphan_id ON {ETL}.orphan (table_name, id);
ALTER TABLE {ETL}.run_table ADD COLUMN IF NOT EXISTS rows_deleted bigint NOT NULL DEFAULT 0;
ALTER TABLE {ETL}.run ADD COLUMN IF NOT EXISTS trigger text, ADD COLUMN IF NOT EXISTS source text,
    ADD COLUMN IF NOT EXISTS xmin_after bigint, ADD COLUMN IF NOT EXISTS swept boolean;
COMMENT ON TABLE {ETL}.run IS 'The runs that are in the warehouse; source and xmin_after say which snapshot';
COMMENT ON TABLE {ETL}.run_table IS 'What each run wrote; of a fact, the range of record ids';
COMMENT ON TABLE {ETL}.deletion IS 'Ids that a snapshot had no more, until returned_at';
COMMENT ON TABLE {ETL}.orphan IS 'Fact versions that wait for a dimension row, each with its record id';
"""

LEDGER_TABLES = {(ETL, name) for name in ("run", "run_table", "deletion", "orphan")}


@dataclass(frozen=True)
class CatalogColumn:
    """A column as the database has it; `kind` is what `format_type` prints."""

    name: str
    kind: str
    required: bool


# The columns of each table that exists, in order.
Catalog = Mapping[str, tuple[CatalogColumn, ...]]


def create_table(schema: str, table: WarehouseTable) -> str:
    """CREATE TABLE with its keys, and for a fact the index that finds the newest version of a key."""
    columns = [_definition(column) for column in table.columns]
    if not isinstance(table, Fact):
        columns.append(f"PRIMARY KEY ({ident(table.key)})")
        return _create(schema, table, columns) + _comments(schema, table)
    record_id = f"{ident(table.record_id)} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    newest = (
        f"CREATE INDEX {ident(f'{table.name}_versions')} ON {qualified(schema, table.name)} "
        f"({ident(table.key)}, {ident(table.record_id)} DESC);"
    )
    return _create(schema, table, [record_id, *columns]) + newest + _comments(schema, table)


def _create(schema: str, table: WarehouseTable, definitions: Iterable[str]) -> str:
    return f"CREATE TABLE {qualified(schema, table.name)} (\n    {', '.join(definitions)});\n"


def _definition(column: Column) -> str:
    return f"{ident(column.name)} {column.type.postgres}{'' if column.nullable else ' NOT NULL'}"


def _comments(schema: str, table: WarehouseTable) -> str:
    """What the table and its columns mean, for whoever looks with a tool of their own."""
    name = qualified(schema, table.name)
    meanings = {f"TABLE {name}": table.meaning} | {
        f"COLUMN {name}.{ident(column.name)}": column.meaning for column in table.stored_columns
    }
    return "".join(f"COMMENT ON {what} IS {literal(meaning)};\n" for what, meaning in meanings.items() if meaning)


def create_current_view(schema: str, fact: Fact) -> str:
    """The view of each key's newest version, without the deleted: runs number versions in their own order."""
    comment = f"The newest version of each {fact.key} that is not deleted"
    return (
        f"CREATE VIEW {qualified(schema, fact.current)} AS {_newest(schema, fact, 'true', 'd.returned_run IS NULL')};\n"
        f"COMMENT ON VIEW {qualified(schema, fact.current)} IS {literal(comment)};\n"
    )


def create_as_of(schema: str, fact: Fact) -> str:
    """The function that gives the current rows as they were at a moment.

    A version counts from the snapshot that brought it, a deletion from the snapshot of the sweep that found it, until
    the snapshot that brought the row again. Versions of before the first run have always been there.
    """
    ranges = f"{ETL}.run_table AS t JOIN {ETL}.run AS r USING (lake, run) WHERE t.table_name = {literal(fact.name)}"
    until = (
        f"f.{ident(fact.record_id)} <= coalesce("
        f"(SELECT max(t.last_record_id) FROM {ranges} AND r.snapshot_time <= moment), "
        f"(SELECT min(t.first_record_id) - 1 FROM {ranges}), {2**63 - 1})"
    )
    absent = "d.deleted_at <= moment AND (d.returned_at IS NULL OR d.returned_at > moment)"
    name = qualified(schema, fact.as_of)
    comment = f"The version of each {fact.key} at a moment, without the deleted"
    return (
        f"CREATE FUNCTION {name}(moment timestamptz) RETURNS SETOF {qualified(schema, fact.name)} LANGUAGE sql STABLE "
        f"BEGIN ATOMIC {_newest(schema, fact, until, absent)}; END;\n"
        f"COMMENT ON FUNCTION {name} IS {literal(comment)};\n"
    )


def _newest(schema: str, fact: Fact, counts: str, absent: str) -> str:
    """Each key's newest version of those that count, without ids that have a deletion for which `absent` is true."""
    key = ident(fact.key)
    return (
        f"SELECT newest.* FROM (SELECT DISTINCT ON (f.{key}) f.* FROM {qualified(schema, fact.name)} AS f "
        f"WHERE {counts} ORDER BY f.{key}, f.{ident(fact.record_id)} DESC) AS newest "
        f"WHERE NOT EXISTS (SELECT FROM {ETL}.deletion AS d WHERE d.table_name = {literal(fact.name)} "
        f"AND d.id = newest.{key} AND {absent})"
    )


def create_star_as_of(schema: str, fact: Fact) -> str:
    """A star's function of the same name."""
    return (
        f"CREATE FUNCTION {qualified(fact.star, fact.as_of)}(moment timestamptz) "
        f"RETURNS SETOF {qualified(schema, fact.name)} LANGUAGE sql STABLE "
        f"BEGIN ATOMIC SELECT * FROM {qualified(schema, fact.as_of)}(moment); END;\n"
    )


def create_star_view(schema: str, star: str, relation: str) -> str:
    """A star's view of a table, or of a fact's current view."""
    return f"CREATE VIEW {qualified(star, relation)} AS SELECT * FROM {qualified(schema, relation)};\n"


def expected_columns(table: WarehouseTable) -> tuple[CatalogColumn, ...]:
    """The columns as the catalog should show them."""
    return tuple(
        CatalogColumn(column.name, column.type.postgres, not column.nullable) for column in table.stored_columns
    )


def differences(model: Model, catalog: Catalog) -> list[str]:
    """What an existing warehouse has otherwise than declared; a table that is missing can be created."""
    found: list[str] = []
    for table in model.tables:
        if table.name not in catalog:
            continue
        actual = {column.name: column for column in catalog[table.name]}
        for column in expected_columns(table):
            other = actual.pop(column.name, None)
            if other is None:
                found.append(f"column {table.name}.{column.name} is missing")
            elif other.kind != column.kind:
                found.append(f"column {table.name}.{column.name} is {other.kind}, not {column.kind}")
            elif other.required and isinstance(table, Fact) and column.name == table.record_id:
                found.append(f"column {table.name}.{column.name} gives no numbers: it has no identity and no default")
            elif other.required and not column.required:
                found.append(f"column {table.name}.{column.name} takes no NULL")
        found += [f"column {table.name}.{name} is not declared" for name, other in actual.items() if other.required]
    return found


def missing(model: Model, schema: str, catalog: Catalog, relations: set[tuple[str, str]]) -> str:
    """The statements that create what is not there. `relations` are existing (schema, table or view) pairs."""
    statements = [create_table(schema, table) for table in model.tables if table.name not in catalog]
    for fact in model.facts:
        if (schema, fact.current) not in relations:
            statements.append(create_current_view(schema, fact))
        if (schema, fact.as_of) not in relations:
            statements.append(create_as_of(schema, fact))
    for star, tables in model.stars.items():
        views = [name for t in tables for name in ((t.name, t.current) if isinstance(t, Fact) else (t.name,))]
        absent = [view for view in views if (star, view) not in relations]
        if absent:
            statements.append(f"CREATE SCHEMA IF NOT EXISTS {ident(star)};\n")
            statements += [create_star_view(schema, star, view) for view in absent]
    for fact in model.facts:
        if (fact.star, fact.as_of) not in relations:
            statements.append(create_star_as_of(schema, fact))
    return "".join(statements)


def same_columns(table: WarehouseTable, left: str, right: str) -> str:
    """SQL that is true where every declared column is the same on both sides, NULLs included."""
    return f"({column_list(table.column_names, left)}) IS NOT DISTINCT FROM ({column_list(table.column_names, right)})"
