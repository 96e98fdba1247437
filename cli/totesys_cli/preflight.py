"""Checks of the two databases before anything is started or written."""

from totesys.connection import Connection, connect
from totesys.schema import Model
from totesys_ingest.source_connection import check_contract, open_source
from totesys_load.warehouse_connection import WHAT
from totesys_load.warehouse_setup import prepare


async def check_source(model: Model, dsn: str, schema: str) -> None:
    """Check that ingest can extract. Raises DatabaseUnavailable, AccessDenied, SettingsError or SchemaDrift."""
    async with open_source(dsn, schema) as source:
        await check_contract(source, model.sources)


async def check_warehouse(model: Model, dsn: str, schema: str) -> None:
    """Prepare the warehouse and roll back.

    Raises DatabaseUnavailable, AccessDenied, SettingsError or WarehouseMismatch.
    """
    async with connect(WHAT, dsn) as connection:
        await prepare_and_roll_back(connection, model, dsn, schema)


async def prepare_and_roll_back(connection: Connection, model: Model, dsn: str, schema: str) -> None:
    """Prepare the warehouse as load would, in a transaction that is rolled back. Raises what `prepare` raises."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await prepare(connection, model, schema, dsn)
    finally:
        await transaction.rollback()
