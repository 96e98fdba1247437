"""The databases of a local stack: a source filled with generated data, and the roles of ingest and load."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from totesys.connection import Connection, connect
from totesys.dsn.parameters import IAM, SECRET
from totesys.dsn.syntax import parse
from totesys.errors import LoginRefused
from totesys.schema import Model, load_model
from totesys.sql import ident, literal
from totesys_cli.command_errors import UsageError
from totesys_cli.options import Databases
from totesys_cli.progress import LINE_SECONDS, progress
from totesys_cli.simulate import simulation_of
from totesys_cli.source_database import create_source, publication_statement
from totesys_cli.terminal import Output

# What ingest reads by default.
PUBLICATION = "totesys"
_CAN_PUBLISH = "SELECT current_setting('wal_level') = 'logical' AND rolsuper FROM pg_roles WHERE rolname = current_user"

OnRows = Callable[[str, int], None]


@dataclass(frozen=True)
class LoginRole:
    """A role and its password."""

    name: str
    password: str = field(repr=False)

    def dsn(self, owner: str) -> str:
        """The database of the DSN `owner`, for this role. Raises DsnError."""
        values = {name: value for name, value in parse(owner).items() if name not in {SECRET, IAM}}
        values |= {"user": self.name, "password": self.password}
        escaped = {name: value.replace("\\", r"\\").replace("'", r"\'") for name, value in values.items()}
        return " ".join(f"{name}='{value}'" for name, value in escaped.items())


async def make_databases(
    output: Output, databases: Databases, reader: LoginRole, loader: LoginRole, *, reset: bool, seed: int, scale: float
) -> None:
    """Fill the source if it is empty, and create the roles of ingest and load.

    Raises UsageError if a role exists with another password, unless that is to be `reset`.
    """
    if not reset:
        await _require_password("The source", databases.source, reader)
        await _require_password("The warehouse", databases.warehouse, loader)
    total = await _expected_rows(databases, scale)
    written: dict[str, int] = {}
    with progress(total, every=LINE_SECONDS) as steps:

        def on_rows(table: str, rows: int) -> None:
            steps.step(f"rows, now {table}", rows - written.get(table, 0))
            written[table] = rows

        rows = await make_source(
            databases.source, reader, model=databases.model, seed=seed, scale=scale, on_rows=on_rows
        )
    async with connect("The warehouse", databases.warehouse) as connection, connection.transaction():
        await _ensure(connection, loader)
        database = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"GRANT CREATE ON DATABASE {ident(database)} TO {ident(loader.name)}")
    filled = "The source already has its tables. They are unchanged."
    if rows is not None:
        filled = f"The source has {sum(rows.values()):,} rows in {len(rows)} tables (seed {seed})."
    roles = [reader.name, loader.name]
    output.result({"rows": rows, "roles": roles}, f"{filled}\nThe roles {' and '.join(roles)} exist.")


async def _expected_rows(databases: Databases, scale: float) -> int:
    """The rows to generate; 0 if the source has its tables already, which needs no simulation."""
    async with connect("The source", databases.source) as connection:
        if await _has_tables(connection, load_model(databases.model)):
            return 0
    return sum(simulation_of(databases.model).scaled_rows(scale).values())


async def make_source(
    owner: str, reader: LoginRole, *, model: str, seed: int, scale: float = 1.0, on_rows: OnRows | None = None
) -> Mapping[str, int] | None:
    """Create and fill the model's tables in the database `owner`, all or none, and let `reader` read them.

    Returns the rows of each table; None if there are tables already, which stay unchanged.
    """
    declared, rows = load_model(model), None
    async with connect("The source", owner) as connection:
        if not await _has_tables(connection, declared):
            async with connection.transaction():
                simulation = simulation_of(model)
                if create := getattr(simulation, "create_source", None):
                    await create(connection)
                else:
                    await create_source(connection, declared)
                rows = await simulation.fill(connection, seed=seed, scale=scale, progress=on_rows)
        async with connection.transaction():
            await _ensure(connection, reader)
            await connection.execute(f"GRANT USAGE ON SCHEMA public TO {ident(reader.name)}")
            await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ident(reader.name)}")
            if rows is not None and await connection.fetchval(_CAN_PUBLISH):
                await connection.execute(f"ALTER ROLE {ident(reader.name)} REPLICATION")
                await connection.execute(publication_statement(declared, "public", PUBLICATION))
    return rows


async def _has_tables(connection: Connection, model: Model) -> bool:
    names = [table.name for table in model.sources]
    query = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND tablename = ANY ($1))"
    return bool(await connection.fetchval(query, names))


async def _require_password(what: str, owner: str, role: LoginRole) -> None:
    """Raise UsageError if the role exists with another password: something may be using it."""
    async with connect(what, owner) as connection:
        if not await _exists(connection, role):
            return
    try:
        async with connect(what, role.dsn(owner)):
            pass
    except LoginRefused as error:
        raise UsageError(
            f"{what} has a role {role.name} with another password. Pass that password, or change it with "
            "--reset-passwords."
        ) from error


async def _ensure(connection: Connection, role: LoginRole) -> None:
    verb = "ALTER" if await _exists(connection, role) else "CREATE"
    await connection.execute(f"{verb} ROLE {ident(role.name)} LOGIN PASSWORD {literal(role.password)}")


async def _exists(connection: Connection, role: LoginRole) -> bool:
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role.name))
