"""The faults of `totesys demo --break`, on which operators practise what docs/runbook.md says."""

from dataclasses import dataclass

from totesys.connection import connect
from totesys.sql import ident, literal
from totesys_cli.options import DEFAULT_MODEL, DemoFault
from totesys_cli.pipeline import Pipeline
from totesys_cli.simulate import simulation_of

# No run has this number.
POISON_RUN = 99_999_999


@dataclass(frozen=True)
class MadeFault:
    """What was done, and the message that will be given up because of it, if that is all."""

    text: str
    message_id: str | None = None


async def make_fault(fault: DemoFault, pipeline: Pipeline, source: str, warehouse_name: str) -> MadeFault:
    """Break something.

    `source` is the DSN of the source's owner, a superuser; `warehouse_name` is a database on the same server.
    """
    match fault:
        case "poison":
            message_id = await pipeline.trigger("transform", run=POISON_RUN)
            text = f"Transform got a message to replay run {POISON_RUN}, which does not exist."
            return MadeFault(text, message_id)
        case "outage":
            await _execute(
                source,
                f"ALTER DATABASE {ident(warehouse_name)} ALLOW_CONNECTIONS false",
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {literal(warehouse_name)}",
            )
            return MadeFault("The warehouse accepts no connections.")
        case "drift" | "quarantine":
            in_source = getattr(simulation_of(DEFAULT_MODEL), fault.upper())
            await _execute(source, in_source.make)
            return MadeFault(str(in_source.what))


async def _execute(dsn: str, *statements: str) -> None:
    async with connect("The source", dsn) as connection:
        for statement in statements:
            await connection.execute(statement)
