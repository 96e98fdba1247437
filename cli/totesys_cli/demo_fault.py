"""The faults of `totesys demo --break`, on which operators practise what docs/runbook.md says."""

from totesys.connection import connect
from totesys.sql import ident, literal
from totesys_cli.options import DEFAULT_MODEL, DemoFault
from totesys_cli.pipeline import Pipeline
from totesys_cli.simulate import simulation_of

# No run has this number.
POISON_RUN = 99_999_999


async def make_fault(fault: DemoFault, pipeline: Pipeline, source: str, warehouse_name: str) -> str:
    """Break something, and return what was done.

    `source` is the DSN of the source's owner, a superuser; `warehouse_name` is a database on the same server.
    """
    match fault:
        case "poison":
            await pipeline.trigger("transform", run=POISON_RUN)
            return f"Transform got a message to replay run {POISON_RUN}, which does not exist."
        case "outage":
            await _execute(
                source,
                f"ALTER DATABASE {ident(warehouse_name)} ALLOW_CONNECTIONS false",
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {literal(warehouse_name)}",
            )
            return "The warehouse accepts no connections."
        case "drift" | "quarantine":
            in_source = getattr(simulation_of(DEFAULT_MODEL), fault.upper())
            await _execute(source, in_source.make)
            return str(in_source.what)


async def _execute(dsn: str, *statements: str) -> None:
    async with connect("The source", dsn) as connection:
        for statement in statements:
            await connection.execute(statement)
