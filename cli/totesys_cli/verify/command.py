"""`totesys verify`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console

from totesys.schema import load_model
from totesys.verify import Verification, verify
from totesys_cli.databases import Databases
from totesys_cli.preflight import check_source
from totesys_cli.progress import LINE_SECONDS, progress
from totesys_cli.verify.render import to_json, to_table

if TYPE_CHECKING:
    from totesys_cli.place import Place


@dataclass(frozen=True)
class Repair:
    """Where ingest's queue is, and how long its answer may take."""

    place: "Place"
    longest: timedelta


async def run_verification(
    console: Console, databases: Databases, *, json: bool, strict: bool = False, wanted: Repair | None = None
) -> bool:
    """Compare source and warehouse, repair what is wrong if that is wanted, and print the result; whether all is equal.

    If it is to be `strict`, no row may be quarantined either. What a repair does is told on the standard error output,
    beside the result.
    """
    model = load_model(databases.model)
    await check_source(model, databases.source, databases.source_schema)
    verification = await verified(databases)
    if wanted and not verification.is_equal:
        # Only here: it needs AWS's library.
        from totesys_cli.verify.repair import repair

        notes = Console(stderr=True)
        notes.print(to_table(verification))
        verification = await repair(notes, databases, wanted.place, verification, wanted.longest)
    show(console, verification, json=json)
    return verification.is_equal and not (strict and verification.quarantined)


async def verified(databases: Databases) -> Verification:
    """Compare source and warehouse, and show how far that is."""
    model = load_model(databases.model)
    with progress(len(model.tables), every=LINE_SECONDS) as steps:
        return await verify(
            databases.source,
            databases.warehouse,
            model,
            source_schema=databases.source_schema,
            warehouse_schema=databases.warehouse_schema,
            on_table=lambda table: steps.step(f"{table.table}, {table.compared:,} rows"),
        )


def show(console: Console, verification: Verification, *, json: bool) -> None:
    """Print what a verification found."""
    if json:
        console.print_json(to_json(verification))
    else:
        console.print(to_table(verification))
