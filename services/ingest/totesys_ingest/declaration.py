"""What the model declares of the warehouse. Where it gains something, rows are needed that nobody has written since."""

from collections.abc import Mapping


def new_in(before: Mapping[str, tuple[str, ...]], now: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The tables, and as `table.column` the columns of others, that were not declared before. Pure."""
    return [name for table, columns in now.items() for name in _new_of(table, before.get(table), columns)]


def _new_of(table: str, before: tuple[str, ...] | None, now: tuple[str, ...]) -> list[str]:
    if before is None:
        return [table]
    return [f"{table}.{column}" for column in now if column not in before]
