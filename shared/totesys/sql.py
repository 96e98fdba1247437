"""Fragments of SQL from declarations. Values never become SQL: they are parameters."""

from collections.abc import Iterable


def ident(name: str) -> str:
    """`name` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """`schema`.`name`, quoted."""
    return f"{ident(schema)}.{ident(name)}"


def column_list(names: Iterable[str], prefix: str = "") -> str:
    """The names, quoted and separated by commas; with `prefix`, each qualified by that relation."""
    dot = f"{prefix}." if prefix else ""
    return ", ".join(dot + ident(name) for name in names)


def literal(text: str) -> str:
    """A declared text as an SQL literal, for DDL, which accepts no parameters."""
    return "'" + text.replace("'", "''") + "'"
