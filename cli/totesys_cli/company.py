"""A company with a generated past: its source database, and an empty warehouse for it."""

from collections.abc import Callable, Mapping

from totesys.connection import Connection, connect
from totesys.schema import Model, load_model
from totesys_cli.roles import Role, have_loader, have_reader
from totesys_cli.simulate import simulation_of
from totesys_cli.source_database import create_source

Progress = Callable[[str, int], None]


async def make_source(
    owner: str, reader: Role, *, model: str, seed: int, scale: float = 1.0, progress: Progress | None = None
) -> Mapping[str, int] | None:
    """Make and fill the model's tables in the database `owner`, all or none, and let `reader` read them.

    Gives the rows of each table; None if there are tables already, which stay as they are.
    """
    declared, rows = load_model(model), None
    async with connect("The source", owner) as connection:
        if not await _has_tables(connection, declared):
            async with connection.transaction():
                await create_source(connection, declared)
                rows = await simulation_of(model).fill(connection, seed=seed, scale=scale, progress=progress)
        await have_reader(connection, reader)
    return rows


async def make_warehouse(owner: str, loader: Role) -> None:
    """Let `loader` make the warehouse in the database `owner`."""
    async with connect("The warehouse", owner) as connection:
        await have_loader(connection, loader)


async def _has_tables(connection: Connection, model: Model) -> bool:
    names = [table.name for table in model.sources]
    there = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND tablename = ANY ($1))"
    return bool(await connection.fetchval(there, names))
