"""`totesys verify --lakehouse` and `totesys compare --lakehouse`: a warehouse's checks, on a copy of the lakehouse."""

from dataclasses import replace

from totesys.concurrency import gather_pair
from totesys.schema import load_model
from totesys.verify import verify
from totesys_cli.lakehouse.lakehouse_location import LakehouseLocation
from totesys_cli.lakehouse.warehouse_copy import WAREHOUSE, warehouse_copy
from totesys_cli.options import WarehouseLocation
from totesys_cli.preflight import check_source
from totesys_cli.progress import LINE_SECONDS, progress
from totesys_cli.terminal import Output
from totesys_cli.verify.verification_table import to_document, to_table
from totesys_cli.warehouse_comparison import WarehouseContent, content, print_comparison

# The lakehouse keeps rows with unresolved references in the facts; its views leave them out.
_NOT_KEPT = "etl.orphan"


async def verify_lakehouse(
    output: Output, source: str, source_schema: str, model: str, location: LakehouseLocation, *, strict: bool
) -> bool:
    """Compare every row and column of the source with the lakehouse, and print the result.

    Returns whether all rows are equal; if `strict`, also whether none is quarantined. Raises TotesysError.
    """
    declared = load_model(model)
    await check_source(declared, source, source_schema)
    with progress(2 * len(declared.tables), every=LINE_SECONDS) as steps:
        async with warehouse_copy(location, declared, steps.step) as copy:
            verification = await verify(
                source,
                copy,
                declared,
                source_schema=source_schema,
                warehouse_schema=WAREHOUSE,
                on_table=lambda table: steps.step(f"{table.table}, {table.compared:,} rows"),
            )
    output.result(to_document(verification), to_table(verification))
    return verification.is_equal and not (strict and verification.quarantined)


async def compare_lakehouse(output: Output, warehouse: WarehouseLocation, location: LakehouseLocation) -> bool:
    """Compare the warehouse with the lakehouse, and print the result; whether all is equal. Raises TotesysError."""
    model = load_model(warehouse.model)
    with progress(3 * len(model.tables), every=LINE_SECONDS) as steps:
        async with warehouse_copy(location, model, steps.step) as copy:
            left, right = await gather_pair(
                content("The warehouse", warehouse.dsn, warehouse.schema, model, steps.step),
                content("The lakehouse", copy, WAREHOUSE, model, steps.step),
            )
    return print_comparison(output, _kept(left), _kept(right))


def _kept(found: WarehouseContent) -> WarehouseContent:
    return replace(found, tables={name: checksum for name, checksum in found.tables.items() if name != _NOT_KEPT})
