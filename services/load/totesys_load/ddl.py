"""The warehouse's DDL, derived from the declarations. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from totesys.schema import ETL as ETL
from totesys.schema import Model
from totesys.sql import column_list, ident, literal, qualified
from totesys.table import Column, Fact, WarehouseTable
from totesys_load.catalog import Catalog, Relation
from totesys_load.gained_columns import add_column, gained_columns

# How the comments of load's views begin, in every release.
NEWEST = "The newest version of each"
ALL = "All of"

# The columns of the ledger's tables without which load cannot go on, as `format_type` prints their types.
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
    "dimension_key": {**_OF_A_RUN, "table_name": "text", **dict.fromkeys(("first_key", "last_key"), "bigint")},
    "deletion": {
        **_OF_A_ROW,
        **dict.fromkeys(("deleted_at", "returned_at"), "timestamp with time zone"),
        "returned_run": "bigint",
    },
    "orphan": {**_OF_A_ROW, "record_id": "bigint", "reasons": "text[]", "row": "jsonb"},
    "migration": {"number": "integer", "applied_at": "timestamp with time zone"},
}


@dataclass(frozen=True)
class View:
    """A view that load makes. One whose comment begins with `mark` is of load, perhaps of an earlier release."""

    statement: str
    comment: str
    mark: str
    columns: tuple[str, ...]

    def is_shown_by(self, found: Relation) -> bool:
        """Whether what is there shows all that it should, as it should."""
        return found.comment == self.comment and {column.name for column in found.columns}.issuperset(self.columns)


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
    descriptions = {f"TABLE {name}": table.description} | {
        f"COLUMN {name}.{ident(column.name)}": column.description for column in table.stored_columns
    }
    return "".join(
        f"COMMENT ON {what} IS {literal(description)};\n" for what, description in descriptions.items() if description
    )


def create_index(schema: str, table: str, *columns: str, unique: bool = False) -> str:
    """An index of a table that is there; the database names it."""
    return f"CREATE {'UNIQUE ' if unique else ''}INDEX ON {qualified(schema, table)} ({column_list(columns)});\n"


def create_current_view(schema: str, fact: Fact) -> str:
    """The view of each key's newest version, without the deleted: runs number versions in their own order."""
    query = _newest(schema, fact, "true", "d.returned_run IS NULL")
    return _create_view(schema, fact.current, query, current_comment(fact))


def current_comment(fact: Fact) -> str:
    """What a current view's comment says: it is made anew where it says something else."""
    return f"{NEWEST} {fact.key} that is not deleted"


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
        f"CREATE OR REPLACE FUNCTION {name}(moment timestamptz) RETURNS SETOF {qualified(schema, fact.name)} "
        f"LANGUAGE sql STABLE BEGIN ATOMIC {_newest(schema, fact, until, absent)}; END;\n"
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
        f"CREATE OR REPLACE FUNCTION {qualified(fact.star, fact.as_of)}(moment timestamptz) "
        f"RETURNS SETOF {qualified(schema, fact.name)} LANGUAGE sql STABLE "
        f"BEGIN ATOMIC SELECT * FROM {qualified(schema, fact.as_of)}(moment); END;\n"
    )


def create_star_view(schema: str, star: str, relation: str) -> str:
    """A star's view of a table, or of a fact's current view."""
    return _create_view(star, relation, f"SELECT * FROM {qualified(schema, relation)}", f"{ALL} {schema}.{relation}")


def _create_view(schema: str, name: str, query: str, comment: str) -> str:
    view = qualified(schema, name)
    return f"CREATE OR REPLACE VIEW {view} AS {query};\nCOMMENT ON VIEW {view} IS {literal(comment)};\n"


def views(model: Model, schema: str) -> dict[tuple[str, str], View]:
    """The views by schema and name, each after those that it reads; with a current view comes its as-of function."""
    made = {
        (schema, fact.current): View(
            create_current_view(schema, fact) + create_as_of(schema, fact),
            current_comment(fact),
            NEWEST,
            _stored_names(fact),
        )
        for fact in model.facts
    }
    for star, tables in model.stars.items():
        for table in tables:
            for name in (table.name, table.current) if isinstance(table, Fact) else (table.name,):
                statement, comment = create_star_view(schema, star, name), f"{ALL} {schema}.{name}"
                made[star, name] = View(statement, comment, ALL, _stored_names(table))
        for fact in (table for table in tables if isinstance(table, Fact)):
            view = made[star, fact.current]
            made[star, fact.current] = replace(view, statement=view.statement + create_star_as_of(schema, fact))
    return made


def _stored_names(table: WarehouseTable) -> tuple[str, ...]:
    return tuple(column.name for column in table.stored_columns)


def names(model: Model, schema: str) -> list[tuple[str, str]]:
    """The schema and name of everything that load makes."""
    tables = [(schema, table.name) for table in model.tables]
    return [*tables, *views(model, schema), *((ETL, name) for name in LEDGER_TABLES)]


def missing(model: Model, schema: str, catalog: Catalog) -> str:
    """The statements that create what is not there, and make views of an earlier release anew.

    A view comes after the columns that it shows, and so does its function, which would give too few otherwise.
    """
    there = catalog.relations
    tables = [create_table(schema, table) for table in model.tables if (schema, table.name) not in there]
    tables += [add_column(schema, table, column) for table, column in gained_columns(model, schema, catalog)]
    made = {
        key: view for key, view in views(model, schema).items() if key not in there or not view.is_shown_by(there[key])
    }
    schemas = {*([schema] if tables else []), *(star for star, _ in made)} - catalog.schemas.keys()
    create = [f"CREATE SCHEMA {ident(name)};\n" for name in sorted(schemas)]
    return "".join([*create, *tables, *(view.statement for view in made.values())])


def same_columns(table: WarehouseTable, left: str, right: str) -> str:
    """SQL that is true where every declared column is the same on both sides, NULLs included."""
    return f"({column_list(table.column_names, left)}) IS NOT DISTINCT FROM ({column_list(table.column_names, right)})"
