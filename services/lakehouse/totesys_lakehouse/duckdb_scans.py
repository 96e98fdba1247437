"""The Iceberg tables as DuckDB's views: it reads metadata files, not the SQL catalog that says which are current."""

from collections.abc import Sequence

from totesys.sql import literal
from totesys_lakehouse.iceberg_store import IcebergStore
from totesys_lakehouse.lakehouse_tables import LakehouseTable
from totesys_lakehouse.view_dialects import DUCKDB


def scan_script(store: IcebergStore, tables: Sequence[LakehouseTable]) -> str:
    """Statements that show each table as it is now; generate them again to see later runs."""
    store.require(tables)
    schema = DUCKDB.schema.format(name=DUCKDB.identifier(store.namespace))
    scans = [
        f"CREATE OR REPLACE VIEW {DUCKDB.qualified(store.namespace, table.name)} AS "
        f"SELECT * FROM iceberg_scan({literal(store.table(table.name).metadata_location)})"
        for table in tables
    ]
    return "".join(f"{statement};\n" for statement in (schema, *scans))
