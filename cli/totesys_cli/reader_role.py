"""The role that ingest needs: it may read the source, and nothing else."""

from totesys.postgres import Connection
from totesys.sql import ident, literal


async def create_reader(connection: Connection, name: str, password: str, schema: str = "public") -> None:
    """Create a login role with SELECT on all tables of `schema`. Raises asyncpg.DuplicateObjectError."""
    async with connection.transaction():
        await connection.execute(f"CREATE ROLE {ident(name)} LOGIN PASSWORD {literal(password)}")
        await connection.execute(f"GRANT USAGE ON SCHEMA {ident(schema)} TO {ident(name)}")
        await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {ident(schema)} TO {ident(name)}")
