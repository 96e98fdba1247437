"""`totesys compare`."""

from rich.console import Console

from totesys.concurrent import both
from totesys.schema import load_model
from totesys_cli.compare.checksums import content
from totesys_cli.compare.comparison import compare
from totesys_cli.compare.render import to_json, to_table


async def run_comparison(console: Console, warehouse: str, other: str, model: str, schema: str, *, json: bool) -> bool:
    """Compare the two warehouses and print the result; whether all is equal."""
    declared = load_model(model)
    left, right = await both(
        content("The warehouse", warehouse, schema, declared), content("The other warehouse", other, schema, declared)
    )
    comparisons = compare(left, right)
    if json:
        console.print_json(to_json(comparisons))
    else:
        console.print(to_table(comparisons))
    return all(comparison.equal for comparison in comparisons)
