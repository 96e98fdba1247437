"""A table's section: what one row is, where it stands, and its columns."""

from collections.abc import Iterable

from totesys.schema import Model
from totesys.table import Column, Fact, Table, WarehouseTable

HEADER = ("column", "type", "may be NULL", "description", "source", "refers to")


def describe(model: Model, table: WarehouseTable) -> str:
    """The section of one table."""
    stars = [star for star, members in model.stars.items() if table in members]
    about = [
        f"- Grain: {table.description[0].lower()}{table.description[1:]}" if table.description else "",
        f"- Key: `{table.key}`{f'; of a version: `{table.record_id}`' if isinstance(table, Fact) else ''}",
        f"- Stars: {', '.join(f'`{star}`' for star in stars)}" if stars else "",
    ]
    rows = [_row(model, table, column) for column in table.stored_columns]
    return "\n".join([f"### {table.name}", "", *filter(None, about), "", _table(HEADER, rows)])


def link(name: str) -> str:
    """A link to a table's section."""
    return f"[{name}](#{name})"


def link_all(tables: Iterable[Table]) -> str:
    """Links to tables' sections, one after the other."""
    return ", ".join(link(table.name) for table in tables)


def _row(model: Model, table: WarehouseTable, column: Column) -> tuple[str, ...]:
    return (
        f"`{column.name}`",
        column.type.postgres,
        "yes" if column.nullable else "",
        column.description,
        ", ".join(f"`{name}`" for name in model.source_columns(table, column)),
        link(column.references) if column.references else "",
    )


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    return "\n".join([_line(header), _line("---" for _ in header), *(_line(row) for row in rows)])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
