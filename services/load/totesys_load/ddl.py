"""The warehouse's DDL, derived from the declarations. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from totesys.schema import Model
from totesys.sql import column_list, ident, literal, qualified
from totesys.table import Column, Fact, WarehouseTable
from totesys_load.catalog import Catalog

ETL = "etl"

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

# How the comments of load's views begin, in every release.
NEWEST = "The newest version of each"
ALL = "All of"

# The columns of the ledger's tables, as `format_type` prints their types.
_OF_A_RUN = {"lake": "uuid", "run": "bigint"}
_OF_A_ROW = {"table_name": "text", "id": "bigint", **_OF_A_RUN}
LEDGER_TABLES: Mapping[str, Mapping[str, str]] = {
    "run": {
        **_OF_A_RUN,
        **dict.fromkeys(("previous", "extraction", "rows_written"), "bigint"),
        **dict.fromkeys(("snapshot_time", "applied_at"), "timestamp with time zone"),
        "complete": "boolean",
    },
    "run_table": {
        **_OF_A_RUN,
        "table_name": "text",
        **dict.fromkeys(("rows_read", "rows_written", "rows_quarantined"), "bigint"),
        **dict.fromkeys(("first_record_id", "last_record_id"), "bigint"),
    },
    "deletion": {
        **_OF_A_ROW,
        **dict.fromkeys(("deleted_at", "returned_at"), "timestamp with time zone"),
        "returned_run": "bigint",
    },
    "orphan": {**_OF_A_ROW, "record_id": "bigint", "reasons": "text[]", "row": "jsonb"},
}


@dataclass(frozen=True)
class View:
    """A view that load makes. One whose comment begins with `mark` is of load, perhaps of an earlier release."""

    statement: str
    comment: str
    mark: str


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


def create_index(schema: str, table: str, *columns: str, unique: bool = False) -> str:
    """An index of a table that is there; the database names it."""
    return f"CREATE {'UNIQUE ' if unique else ''}INDEX ON {qualified(schema, table)} ({column_list(columns)});\n"


def create_current_view(schema: str, fact: Fact) -> str:
    """The view of each key's newest version: versions are numbered in the order in which runs brought them."""
    query = (
        f"SELECT DISTINCT ON ({ident(fact.key)}) * "
        f"FROM {qualified(schema, fact.name)} ORDER BY {ident(fact.key)}, {ident(fact.record_id)} DESC"
    )
    return _create_view(schema, fact.current, query, f"{NEWEST} {fact.key}")


def create_star_view(schema: str, star: str, relation: str) -> str:
    """A star's view of a table, or of a fact's current view."""
    return _create_view(star, relation, f"SELECT * FROM {qualified(schema, relation)}", f"{ALL} {schema}.{relation}")


def _create_view(schema: str, name: str, query: str, comment: str) -> str:
    view = qualified(schema, name)
    return f"CREATE OR REPLACE VIEW {view} AS {query};\nCOMMENT ON VIEW {view} IS {literal(comment)};\n"


def views(model: Model, schema: str) -> dict[tuple[str, str], View]:
    """The views by schema and name, each after those that it reads."""
    made = {
        (schema, fact.current): View(create_current_view(schema, fact), f"{NEWEST} {fact.key}", NEWEST)
        for fact in model.facts
    }
    for star, tables in model.stars.items():
        for name in [name for t in tables for name in ((t.name, t.current) if isinstance(t, Fact) else (t.name,))]:
            made[star, name] = View(create_star_view(schema, star, name), f"{ALL} {schema}.{name}", ALL)
    return made


def names(model: Model, schema: str) -> list[tuple[str, str]]:
    """The schema and name of everything that load makes."""
    tables = [(schema, table.name) for table in model.tables]
    return [*tables, *views(model, schema), *((ETL, name) for name in LEDGER_TABLES)]


def missing(model: Model, schema: str, catalog: Catalog) -> str:
    """The statements that create what is not there, and make views of an earlier release anew."""
    there = catalog.relations
    tables = [create_table(schema, table) for table in model.tables if (schema, table.name) not in there]
    made = {
        key: view
        for key, view in views(model, schema).items()
        if key not in there or there[key].comment != view.comment
    }
    schemas = {*([schema] if tables else []), *(star for star, _ in made)} - catalog.schemas.keys()
    create = [f"CREATE SCHEMA {ident(name)};\n" for name in sorted(schemas)]
    return "".join([*create, *tables, *(view.statement for view in made.values())])


def same_columns(table: WarehouseTable, left: str, right: str) -> str:
    """SQL that is true where every declared column is the same on both sides, NULLs included."""
    return f"({column_list(table.column_names, left)}) IS NOT DISTINCT FROM ({column_list(table.column_names, right)})"
