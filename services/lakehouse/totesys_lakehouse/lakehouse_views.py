"""The views as scripts. Pure."""

from collections.abc import Iterator

from totesys.table import Fact
from totesys_lakehouse.lakehouse_tables import LakehouseTable, lakehouse_tables
from totesys_lakehouse.view_dialects import Dialect
from totesys_lakehouse.view_queries import Cut, Queries


def view_script(queries: Queries, cut: Cut | None = None) -> str:
    """The statements that create all views: `…_current` and `…_history`, and each star under its own names.

    With a `cut`, those of `…_as_of` instead: the current rows as they were then.
    """
    return "".join(f"{statement};\n" for statement in _statements(queries, cut))


def base_script(queries: Queries, table: LakehouseTable) -> str:
    """The statement that builds a fact's base table anew."""
    name = queries.dialect.qualified(queries.tables, queries.base_name(table))
    create = queries.dialect.create_table.format(name=name)
    drop = "" if "OR REPLACE" in create else f"DROP TABLE IF EXISTS {name};\n"
    return f"{drop}{create} {queries.base(table)};\n"


def view_schema(tables: str) -> str:
    """The schema of the views of all tables."""
    return f"{tables}_views"


def star_schema(tables: str, star: str) -> str:
    """The schema of a star's views."""
    return f"{tables}_{star}"


def _statements(queries: Queries, cut: Cut | None) -> Iterator[str]:
    dialect, schema = queries.dialect, view_schema(queries.tables)
    made = {table.name: table for table in lakehouse_tables(queries.model) if table.declared is not None}
    yield dialect.schema.format(name=dialect.identifier(schema))
    for table in made.values():
        if cut is not None:
            yield _view(dialect, schema, f"{table.name}_as_of", queries.current(table, cut))
        else:
            yield _view(dialect, schema, f"{table.name}_current", queries.current(table))
            yield _view(dialect, schema, f"{table.name}_history", queries.history(table))
    for star, members in queries.model.stars.items():
        own = star_schema(queries.tables, star)
        yield dialect.schema.format(name=dialect.identifier(own))
        for member in members:
            for name, of in _star_names(member.name, is_fact=isinstance(member, Fact), as_of=cut is not None).items():
                yield _view(dialect, own, name, _all_of(dialect, schema, of, made[member.name]))


def _star_names(table: str, *, is_fact: bool, as_of: bool) -> dict[str, str]:
    """The names of a table's views in its stars, as in the Postgres warehouse, each with the view that it shows."""
    if as_of:
        return {f"{table}_as_of": f"{table}_as_of"}
    if is_fact:
        return {table: f"{table}_history", f"{table}_current": f"{table}_current"}
    return {table: f"{table}_current", f"{table}_history": f"{table}_history"}


def _all_of(dialect: Dialect, schema: str, view: str, table: LakehouseTable) -> str:
    columns = ", ".join(map(dialect.identifier, table.column_names))
    return f"SELECT {columns} FROM {dialect.qualified(schema, view)}"


def _view(dialect: Dialect, schema: str, name: str, query: str) -> str:
    return f"CREATE OR REPLACE VIEW {dialect.qualified(schema, name)} AS {query}{dialect.view_end}"
