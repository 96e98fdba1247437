"""A star as a Mermaid diagram, which GitHub draws."""

from collections.abc import Iterator

from totesys.schema import Model
from totesys.table import Column, Dimension, Fact

# How many rows of each side belong to one of the other, as Mermaid writes it on a line's left and right end.
VERSIONS = ("}o", "o{")
ONE = ("||", "||")
ONE_OR_NONE = ("|o", "o|")


def star_diagram(model: Model, star: str) -> str:
    """The star's facts between its dimensions, with a line for each column that joins them."""
    tables = model.stars[star]
    facts = [table for table in tables if isinstance(table, Fact)]
    dimensions = [table for table in tables if isinstance(table, Dimension)]
    # Mermaid draws what is named on the left above what is named on the right.
    half = len(dimensions) // 2
    lines = [
        _line(fact, column, dimension, above=place < half)
        for fact in facts
        for place, dimension in enumerate(dimensions)
        for column in _joining(fact, dimension)
    ]
    return "\n".join(["```mermaid", "erDiagram", *lines, "```"])


def _joining(fact: Fact, dimension: Dimension) -> Iterator[Column]:
    return (column for column in fact.columns if column.references == dimension.name)


def _line(fact: Fact, column: Column, dimension: Dimension, *, above: bool) -> str:
    left, right = ONE_OR_NONE if column.nullable else ONE
    if above:
        return f'    {dimension.name} {left}--{VERSIONS[1]} {fact.name} : "{column.name}"'
    return f'    {fact.name} {VERSIONS[0]}--{right} {dimension.name} : "{column.name}"'
