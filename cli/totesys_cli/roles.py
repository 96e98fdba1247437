"""The roles of the services in the two databases: each may do what its service does, and nothing else."""

from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from totesys.connection import Connection, connect
from totesys.errors import LoginRefused
from totesys.sql import ident, literal
from totesys_cli.errors import BadInput


@dataclass(frozen=True)
class Role:
    """A login role."""

    name: str
    password: str = field(repr=False)


async def require_password(what: str, owner: str, role: Role) -> None:
    """Raise BadInput if the role is there, and this is not its password: somebody may be using it with its own."""
    async with connect(what, owner) as connection:
        if not await _is_there(connection, role):
            return
    parts = urlsplit(owner)
    login = f"{quote(role.name, safe='')}:{quote(role.password, safe='')}@{parts.netloc.rpartition('@')[2]}"
    try:
        async with connect(what, parts._replace(netloc=login).geturl()):
            pass
    except LoginRefused as error:
        raise BadInput(
            f"{what} has a role {role.name} with another password, which stays. Give that password, or call this again "
            "with --reset-passwords."
        ) from error


async def have_reader(connection: Connection, role: Role, schema: str = "public") -> None:
    """Have a role that may read the tables of `schema`, which is all that ingest needs; its password is set."""
    async with connection.transaction():
        await _have(connection, role)
        await connection.execute(f"GRANT USAGE ON SCHEMA {ident(schema)} TO {ident(role.name)}")
        await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {ident(schema)} TO {ident(role.name)}")


async def have_loader(connection: Connection, role: Role) -> None:
    """Have a role that may create schemas in this database, which is all that load needs; its password is set."""
    async with connection.transaction():
        await _have(connection, role)
        database = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"GRANT CREATE ON DATABASE {ident(database)} TO {ident(role.name)}")


async def _have(connection: Connection, role: Role) -> None:
    verb = "ALTER" if await _is_there(connection, role) else "CREATE"
    await connection.execute(f"{verb} ROLE {ident(role.name)} LOGIN PASSWORD {literal(role.password)}")


async def _is_there(connection: Connection, role: Role) -> bool:
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role.name))
