"""The tables of a source that has no model yet, and how they refer to each other."""

from collections.abc import Mapping
from dataclasses import dataclass

from totesys.connection import Connection
from totesys.table import SourceTable
from totesys_ingest.source_catalog import read_source_catalog
from totesys_ingest.source_contract import SourceCatalog

# Foreign keys of one column. A partition's are those of its table.
_REFERENCES = """
SELECT r.relname AS table_name, a.attname AS column_name, f.relname AS referenced, fa.attname AS referenced_column
FROM pg_constraint c
JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
JOIN pg_class f ON f.oid = c.confrelid AND f.relnamespace = n.oid
JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = c.conkey[1]
JOIN pg_attribute fa ON fa.attrelid = f.oid AND fa.attnum = c.confkey[1]
WHERE c.contype = 'f' AND cardinality(c.conkey) = 1 AND n.nspname = $1 AND NOT r.relispartition
ORDER BY 1, a.attnum
"""


@dataclass(frozen=True)
class ForeignKey:
    """A column that holds the key `column` of the table `table`."""

    table: str
    column: str


@dataclass(frozen=True)
class SourceRelations:
    """The relations of a schema by name, and the foreign keys of each by column."""

    catalog: SourceCatalog
    references: Mapping[str, Mapping[str, ForeignKey]]

    @property
    def referenced(self) -> set[str]:
        """The tables that another table refers to."""
        found = ((name, key.table) for name, keys in self.references.items() for key in keys.values())
        return {target for name, target in found if name != target}


async def read_relations(connection: Connection, schema: str) -> SourceRelations:
    """Every relation of the schema with its columns, types and unique keys."""
    names = await read_source_catalog(connection, schema, ())
    tables = [SourceTable(name, key="", columns=()) for name in names]
    references: dict[str, dict[str, ForeignKey]] = {}
    for row in await connection.fetch(_REFERENCES, schema):
        key = ForeignKey(row["referenced"], row["referenced_column"])
        references.setdefault(row["table_name"], {})[row["column_name"]] = key
    return SourceRelations(await read_source_catalog(connection, schema, tables), references)
