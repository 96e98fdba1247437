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
ALTER TABLE {ETL}.run ADD COLUMN IF NOT EXISTS trigger text, ADD COLUMN IF NOT EXISTS source text,
    ADD COLUMN IF NOT EXISTS xmin_after bigint, ADD COLUMN IF NOT EXISTS swept boolean;
COMMENT ON TABLE {ETL}.run IS 'The runs that are in the warehouse; source and xmin_after say which snapshot';
COMMENT ON TABLE {ETL}.run_table IS 'What each run wrote; of a fact, the range of record ids';
COMMENT ON TABLE {ETL}.deletion IS 'Ids that a snapshot had no more, from when until when; open while returned_run is NULL';
COMMENT ON TABLE {ETL}.orphan IS 'Fact versions that wait for a dimension row, with the record id that is kept for each';
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
        return _create(schema, table, columns)
    record_id = f"{ident(table.record_id)} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    newest = (
        f"CREATE INDEX {ident(f'{table.name}_versions')} ON {qualified(schema, table.name)} "
        f"({ident(table.key)}, {ident(table.record_id)} DESC);"
    )
    return _create(schema, table, [record_id, *columns]) + newest


def _create(schema: str, table: WarehouseTable, definitions: Iterable[str]) -> str:
    return f"CREATE TABLE {qualified(schema, table.name)} (\n    {', '.join(definitions)});\n"


def _definition(column: Column) -> str:
    return f"{ident(column.name)} {column.type.postgres}{'' if column.nullable else ' NOT NULL'}"


def create_current_view(schema: str, fact: Fact) -> str:
    """The view of each key's newest version: versions are numbered in the order in which runs brought them."""
    return (
        f"CREATE VIEW {qualified(schema, fact.current)} AS SELECT DISTINCT ON ({ident(fact.key)}) * "
        f"FROM {qualified(schema, fact.name)} ORDER BY {ident(fact.key)}, {ident(fact.record_id)} DESC;\n"
        f"COMMENT ON VIEW {qualified(schema, fact.current)} IS {literal(f'The newest version of each {fact.key}')};\n"
    )


def create_star_view(schema: str, star: str, relation: str) -> str:
    """A star's view of a table, or of a fact's current view."""
    return f"CREATE VIEW {qualified(star, relation)} AS SELECT * FROM {qualified(schema, relation)};\n"


def expected_columns(table: WarehouseTable) -> tuple[CatalogColumn, ...]:
    """The columns as the catalog should show them."""
    declared = (*((table.record_id_column,) if isinstance(table, Fact) else ()), *table.columns)
    return tuple(CatalogColumn(column.name, column.type.postgres, not column.nullable) for column in declared)


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
    for star, tables in model.stars.items():
        views = [name for t in tables for name in ((t.name, t.current) if isinstance(t, Fact) else (t.name,))]
        absent = [view for view in views if (star, view) not in relations]
        if absent:
            statements.append(f"CREATE SCHEMA IF NOT EXISTS {ident(star)};\n")
            statements += [create_star_view(schema, star, view) for view in absent]
    return "".join(statements)


def same_columns(table: WarehouseTable, left: str, right: str) -> str:
    """SQL that is true where every declared column is the same on both sides, NULLs included."""
    return f"({column_list(table.column_names, left)}) IS NOT DISTINCT FROM ({column_list(table.column_names, right)})"
