"""`totesys compare`."""

from rich.console import Console

from totesys.concurrency import gather_pair
from totesys.schema import load_model
from totesys_cli.compare.checksums import content, scans
from totesys_cli.compare.comparison import compare
from totesys_cli.compare.render import to_json, to_table
from totesys_cli.progress import LINE_SECONDS, progress


async def run_comparison(console: Console, warehouse: str, other: str, model: str, schema: str, *, json: bool) -> bool:
    """Compare the two warehouses and print the result; whether all is equal."""
    declared = load_model(model)
    with progress(2 * scans(declared), every=LINE_SECONDS) as steps:
        left, right = await gather_pair(
            content("The warehouse", warehouse, schema, declared, steps.step),
            content("The other warehouse", other, schema, declared, steps.step),
        )
    comparisons = compare(left, right)
    if json:
        console.print_json(to_json(comparisons))
    else:
        console.print(to_table(comparisons))
    return all(comparison.equal for comparison in comparisons)
