"""The roles of the services in the two databases: each may do what its service does, and nothing else."""

from dataclasses import dataclass, field

from totesys.postgres import Connection
from totesys.sql import ident, literal


@dataclass(frozen=True)
class Role:
    """A login role."""

    name: str
    password: str = field(repr=False)


async def have_reader(connection: Connection, role: Role, schema: str = "public") -> None:
    """Have a role that may read the tables of `schema`, which is all that ingest needs; set its password."""
    async with connection.transaction():
        await _have(connection, role)
        await connection.execute(f"GRANT USAGE ON SCHEMA {ident(schema)} TO {ident(role.name)}")
        await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {ident(schema)} TO {ident(role.name)}")


async def have_loader(connection: Connection, role: Role) -> None:
    """Have a role that may create schemas in this database, which is all that load needs; set its password."""
    async with connection.transaction():
        await _have(connection, role)
        database = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"GRANT CREATE ON DATABASE {ident(database)} TO {ident(role.name)}")


async def _have(connection: Connection, role: Role) -> None:
    there = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role.name)
    verb = "ALTER" if there else "CREATE"
    await connection.execute(f"{verb} ROLE {ident(role.name)} LOGIN PASSWORD {literal(role.password)}")
