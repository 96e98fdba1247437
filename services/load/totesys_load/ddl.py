"""The warehouse's DDL, derived from the declarations. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from totesys.ledger_schema import LEDGER_TABLES
from totesys.schema import ETL, Model
from totesys.sql import column_list, ident, literal, qualified
from totesys.sql_keys import is_deletion_of, key_list
from totesys.table import Column, Fact, WarehouseTable
from totesys_load.warehouse_catalog import Relation, WarehouseCatalog

# How the comments of load's views begin, in every release.
NEWEST = "The newest version of each"
ALL = "All of"


@dataclass(frozen=True)
class View:
    """A view that load makes. An existing view whose comment begins with `mark` is load's, of any release."""

    statement: str
    comment: str
    mark: str
    columns: Mapping[str, str]
    """The description of each column."""

    def is_up_to_date(self, found: Relation) -> bool:
        """Whether an existing view shows all that it should, as it should."""
        return found.comment == self.comment and {column.name for column in found.columns}.issuperset(self.columns)

    def missing_comments(self, found: Relation) -> str:
        """Statements that describe the columns of an existing view as declared; none if another role owns the view."""
        comments = {column.name: column.comment for column in found.columns}
        stale = {name: text for name, text in self.columns.items() if comments.get(name) != (text or None)}
        return comment_on_columns(found.schema, found.name, stale) if found.owned else ""


def create_table(schema: str, table: WarehouseTable) -> str:
    """CREATE TABLE with its keys, and for a fact the index that finds the newest version of a key."""
    columns = [_definition(column) for column in table.columns]
    if not isinstance(table, Fact):
        columns.append(f"PRIMARY KEY ({key_list(table)})")
        return _create(schema, table, columns) + _comments(schema, table)
    version_id = f"{ident(table.record_id)} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    create = _create(schema, table, [version_id, *columns])
    return create + create_versions_index(schema, table) + _comments(schema, table)


def versions_index(fact: Fact) -> str:
    """The name of the index that finds the newest version of a key, where load makes it."""
    return f"{fact.name}_versions"


def create_versions_index(schema: str, fact: Fact) -> str:
    """CREATE INDEX for that index."""
    return (
        f"CREATE INDEX {ident(versions_index(fact))} ON {qualified(schema, fact.name)} "
        f"({key_list(fact)}, {ident(fact.record_id)} DESC);"
    )


def _create(schema: str, table: WarehouseTable, definitions: Iterable[str]) -> str:
    return f"CREATE TABLE {qualified(schema, table.name)} (\n    {', '.join(definitions)});\n"


def _definition(column: Column) -> str:
    return f"{ident(column.name)} {column.type.postgres}{'' if column.nullable else ' NOT NULL'}"


def _comments(schema: str, table: WarehouseTable) -> str:
    """The descriptions of the table and its columns, for readers with tools of their own."""
    name = qualified(schema, table.name)
    of_table = f"COMMENT ON TABLE {name} IS {literal(table.description)};\n" if table.description else ""
    return of_table + comment_on_columns(schema, table.name, _descriptions(table))


def comment_on_columns(schema: str, relation: str, descriptions: Mapping[str, str]) -> str:
    """COMMENT ON COLUMN for each described column of a table or a view."""
    name = qualified(schema, relation)
    return "".join(
        f"COMMENT ON COLUMN {name}.{ident(column)} IS {literal(description)};\n"
        for column, description in descriptions.items()
        if description
    )


def _descriptions(table: WarehouseTable) -> dict[str, str]:
    return {column.name: column.description for column in table.stored_columns}


def create_index(schema: str, table: str, *columns: str, unique: bool = False) -> str:
    """An index on an existing table, named by the database. One for lookups descends, as current views read it."""
    order = "" if unique else " DESC"
    return f"CREATE {'UNIQUE ' if unique else ''}INDEX ON {qualified(schema, table)} ({column_list(columns)}{order});\n"


def create_current_view(schema: str, fact: Fact) -> str:
    """The view of each key's newest version, without deleted keys."""
    query = _newest(schema, fact, "true", "d.returned_run IS NULL")
    return _create_view(schema, fact.current, query, _current_comment(fact))


def _current_comment(fact: Fact) -> str:
    """The comment of a current view. A view with another comment is replaced."""
    return f"{NEWEST} {fact.key_label} that is not deleted"


def _create_as_of(schema: str, fact: Fact) -> str:
    """The function that returns the current rows as of a timestamp.

    A version counts from the snapshot that brought it. A deletion counts from the snapshot of the sweep that found it,
    until the snapshot that brought the row again. Versions from before the first run count always.
    """
    ranges = f"{ETL}.run_table AS t JOIN {ETL}.run AS r USING (lake, run) WHERE t.table_name = {literal(fact.name)}"
    until = (
        f"f.{ident(fact.record_id)} <= coalesce("
        f"(SELECT max(t.last_record_id) FROM {ranges} AND r.snapshot_time <= moment), "
        f"(SELECT min(t.first_record_id) - 1 FROM {ranges}), {2**63 - 1})"
    )
    absent = "d.deleted_at <= moment AND (d.returned_at IS NULL OR d.returned_at > moment)"
    name, comment = (
        qualified(schema, fact.as_of),
        f"The version of each {fact.key_label} as of a timestamp, if not deleted",
    )
    # The parameter keeps its name, because CREATE OR REPLACE cannot rename it.
    return (
        f"CREATE OR REPLACE FUNCTION {name}(moment timestamptz) RETURNS SETOF {qualified(schema, fact.name)} "
        f"LANGUAGE sql STABLE BEGIN ATOMIC {_newest(schema, fact, until, absent)}; END;\n"
        f"COMMENT ON FUNCTION {name} IS {literal(comment)};\n"
    )


def _newest(schema: str, fact: Fact, counts: str, absent: str) -> str:
    """Each key's newest version of those that count, without keys that have a deletion for which `absent` is true."""
    key = key_list(fact, "f")
    return (
        f"SELECT newest.* FROM (SELECT DISTINCT ON ({key}) f.* FROM {qualified(schema, fact.name)} AS f "
        f"WHERE {counts} ORDER BY {key}, f.{ident(fact.record_id)} DESC) AS newest "
        f"WHERE NOT EXISTS (SELECT FROM {ETL}.deletion AS d WHERE d.table_name = {literal(fact.name)} "
        f"AND {is_deletion_of(fact, 'd', 'newest')} AND {absent})"
    )


def _create_star_as_of(schema: str, fact: Fact) -> str:
    """A star's function of the same name."""
    return (
        f"CREATE OR REPLACE FUNCTION {qualified(fact.star, fact.as_of)}(moment timestamptz) "
        f"RETURNS SETOF {qualified(schema, fact.name)} LANGUAGE sql STABLE "
        f"BEGIN ATOMIC SELECT * FROM {qualified(schema, fact.as_of)}(moment); END;\n"
    )


def _create_view(schema: str, name: str, query: str, comment: str) -> str:
    view = qualified(schema, name)
    return f"CREATE OR REPLACE VIEW {view} AS {query};\nCOMMENT ON VIEW {view} IS {literal(comment)};\n"


def views(model: Model, schema: str) -> dict[tuple[str, str], View]:
    """The views by schema and name, each after those that it reads. A current view brings its as-of function along."""
    made = {
        (schema, fact.current): View(
            create_current_view(schema, fact) + _create_as_of(schema, fact),
            _current_comment(fact),
            NEWEST,
            _descriptions(fact),
        )
        for fact in model.facts
    }
    for star, tables in model.stars.items():
        for table in tables:
            for name in (table.name, table.current) if isinstance(table, Fact) else (table.name,):
                comment = f"{ALL} {schema}.{name}"
                statement = _create_view(star, name, f"SELECT * FROM {qualified(schema, name)}", comment)
                made[star, name] = View(statement, comment, ALL, _descriptions(table))
        for fact in (table for table in tables if isinstance(table, Fact)):
            view = made[star, fact.current]
            made[star, fact.current] = replace(view, statement=view.statement + _create_star_as_of(schema, fact))
    return made


def names(model: Model, schema: str) -> list[tuple[str, str]]:
    """The schema and name of every relation that load makes."""
    tables = [(schema, table.name) for table in model.tables]
    return [*tables, *views(model, schema), *((ETL, table.name) for table in LEDGER_TABLES)]


def added_columns(model: Model, schema: str, catalog: WarehouseCatalog) -> Iterator[tuple[WarehouseTable, Column]]:
    """The declared columns that existing tables lack."""
    for table in model.tables:
        if found := catalog.relations.get((schema, table.name)):
            existing = {column.name for column in found.columns}
            yield from ((table, column) for column in table.columns if column.name not in existing)


def _add_column(schema: str, table: WarehouseTable, column: Column) -> str:
    """ALTER TABLE. The column accepts NULL, because existing rows have no value for it."""
    name = qualified(schema, table.name)
    add = f"ALTER TABLE {name} ADD COLUMN {ident(column.name)} {column.type.postgres};\n"
    comment = f"COMMENT ON COLUMN {name}.{ident(column.name)} IS {literal(column.description)};\n"
    return add + (comment if column.description else "")


def missing(model: Model, schema: str, catalog: WarehouseCatalog) -> str:
    """The statements that create what does not exist, and replace views of an earlier release.

    A view follows the columns that it shows, and its function is replaced with it: it would return too few otherwise.
    """
    existing = catalog.relations
    tables = [create_table(schema, table) for table in model.tables if (schema, table.name) not in existing]
    tables += [_add_column(schema, table, column) for table, column in added_columns(model, schema, catalog)]
    made: dict[tuple[str, str], str] = {}
    described = []
    for key, view in views(model, schema).items():
        if key in existing and view.is_up_to_date(existing[key]):
            described.append(view.missing_comments(existing[key]))
        else:
            made[key] = view.statement + comment_on_columns(*key, view.columns)
    schemas = {*([schema] if tables else []), *(star for star, _ in made)} - catalog.schemas.keys()
    create = [f"CREATE SCHEMA {ident(name)};\n" for name in sorted(schemas)]
    return "".join([*create, *tables, *made.values(), *described])


def same_columns(table: WarehouseTable, left: str, right: str) -> str:
    """SQL that is true where every declared column is the same on both sides, NULLs included."""
    return f"({column_list(table.column_names, left)}) IS NOT DISTINCT FROM ({column_list(table.column_names, right)})"
