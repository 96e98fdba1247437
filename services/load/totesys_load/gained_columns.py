"""Columns that the model has gained since a table was made. Pure."""

from collections.abc import Iterator

from totesys.schema import ETL, Model
from totesys.sql import ident, literal, qualified
from totesys.table import Column, WarehouseTable
from totesys_load.catalog import Catalog, Relation


def gained_columns(model: Model, schema: str, catalog: Catalog) -> Iterator[tuple[WarehouseTable, Column]]:
    """The declared columns that tables which are there have not."""
    for table in model.tables:
        if found := catalog.relations.get((schema, table.name)):
            there = {column.name for column in found.columns}
            yield from ((table, column) for column in table.columns if column.name not in there)


def takes_columns(found: Relation, catalog: Catalog) -> bool:
    """Whether load may add a column to a table: only to one of its own, where it has been before.

    In a warehouse of another tool that load meets for the first time, a missing column may be there by another name.
    """
    return found.owned and (ETL, "run") in catalog.relations


def add_column(schema: str, table: WarehouseTable, column: Column) -> str:
    """ALTER TABLE. It takes NULL: the rows that are there have no value of it yet."""
    name = qualified(schema, table.name)
    add = f"ALTER TABLE {name} ADD COLUMN {ident(column.name)} {column.type.postgres};\n"
    comment = f"COMMENT ON COLUMN {name}.{ident(column.name)} IS {literal(column.description)};\n"
    return add + (comment if column.description else "")
