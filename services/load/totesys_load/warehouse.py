"""The warehouse's tables, views and ledger: found as declared, created where missing, or refused."""

from collections import defaultdict

import asyncpg

from totesys.errors import AccessDenied, SettingsError, WarehouseMismatch
from totesys.postgres import Connection, place
from totesys.schema import Model
from totesys.sql import ident
from totesys_load import ddl

WHAT = "The warehouse"

_COLUMNS = """
SELECT c.relname AS table_name, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS kind,
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '' AS required
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = $1 AND c.relname = ANY ($2::text[]) AND c.relkind IN ('r', 'p')
ORDER BY c.relname, a.attnum
"""

_RELATIONS = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1::text[])
"""


async def prepare(connection: Connection, model: Model, schema: str, dsn: str) -> None:
    """Create what the warehouse lacks, inside the caller's transaction.

    Raises WarehouseMismatch that lists every difference, AccessDenied where the role may not create, or
    SettingsError for a schema that the warehouse needs for something else.
    """
    if schema in {ddl.ETL, *model.stars}:
        raise SettingsError(f"The warehouse schema cannot be {schema}, a star's or the ledger's. Name another.")
    catalog = await read_catalog(connection, model, schema)
    found = ddl.differences(model, catalog)
    if found:
        raise WarehouseMismatch(
            f"{WHAT} at {place(dsn)}, schema {schema}, is not what the model declares: {'; '.join(found)}. "
            "Nothing was written. Move these tables away, or name another schema."
        )
    relations = {
        (row["nspname"], row["relname"]) for row in await connection.fetch(_RELATIONS, [schema, ddl.ETL, *model.stars])
    }
    script = ddl.missing(model, schema, catalog, relations)
    try:
        if not relations >= ddl.LEDGER_TABLES:
            await connection.execute(ddl.LEDGER)
        if script:
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {ident(schema)};\n{script}")
    except asyncpg.InsufficientPrivilegeError as error:
        raise AccessDenied(
            f"{WHAT} at {place(dsn)} does not let this role create its schemas: {error}. "
            "Grant CREATE on the database, or create the warehouse with a role that may."
        ) from error


async def read_catalog(connection: Connection, model: Model, schema: str) -> ddl.Catalog:
    """The columns of the declared tables that exist."""
    rows = await connection.fetch(_COLUMNS, schema, [table.name for table in model.tables])
    catalog: dict[str, list[ddl.CatalogColumn]] = defaultdict(list)
    for row in rows:
        catalog[row["table_name"]].append(ddl.CatalogColumn(row["name"], row["kind"], row["required"]))
    return {name: tuple(columns) for name, columns in catalog.items()}
