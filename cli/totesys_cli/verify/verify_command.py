"""`totesys verify`."""

from dataclasses import dataclass
from datetime import timedelta

from totesys.schema import load_model
from totesys.verify import Verification, verify
from totesys_cli.options import Databases, DataPlaneLocation
from totesys_cli.preflight import check_source
from totesys_cli.progress import LINE_SECONDS, progress
from totesys_cli.terminal import Output
from totesys_cli.verify.verification_table import to_document, to_table


@dataclass(frozen=True)
class RepairOptions:
    """Where ingest's queue is, and how long a repair may take."""

    location: DataPlaneLocation
    timeout: timedelta


async def run_verification(
    output: Output, databases: Databases, *, strict: bool = False, repair: RepairOptions | None = None
) -> bool:
    """Compare source and warehouse, repair wrong rows if `repair` is given, and print the result.

    Returns whether all rows are equal; if `strict`, also whether none is quarantined. Raises StageFailed if a repair
    does not finish in time.
    """
    model = load_model(databases.model)
    await check_source(model, databases.source, databases.source_schema)
    verification = await verified(databases)
    if repair and not verification.is_equal:
        # Imported here because it needs the AWS library.
        from totesys_cli.verify.repair import repair_rows

        output.notes.print(to_table(verification))
        verification = await repair_rows(
            output, databases, repair.location, repair.timeout, verification, lambda: verified(databases)
        )
    output.result(to_document(verification), to_table(verification))
    return verification.is_equal and not (strict and verification.quarantined)


async def verified(databases: Databases) -> Verification:
    """Compare source and warehouse, and show the progress."""
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
