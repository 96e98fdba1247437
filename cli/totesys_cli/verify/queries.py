"""The SQL that verification asks. It gives texts, so that both databases print alike."""

from collections.abc import Iterator

from totesys.schema import Model
from totesys.sql import column_list, ident, qualified
from totesys.table import Column, Fact, WarehouseTable
from totesys.types import Kind


def expected_rows(model: Model, table: WarehouseTable, window: bool) -> str:
    """The rows that the oracle gives, over the source; in a `window`, with keys between two parameters."""
    columns = ", ".join(
        _text(column, f"CAST({ident(column.name)} AS {column.type.postgres})") for column in table.columns
    )
    rows = f"SELECT {columns} FROM ({table.oracle}) AS expected"
    return f"{_referenced(model, table)} {rows} {_within(table) if window else ''}"


def found_rows(table: WarehouseTable, schema: str, window: bool) -> str:
    """The warehouse's rows, of a fact the current ones. They are not cast to a type: it could hide a difference."""
    columns = ", ".join(_text(column, ident(column.name)) for column in table.columns)
    return f"SELECT {columns} FROM {_relation(table, schema)} AS found {_within(table) if window else ''}"


def _text(column: Column, value: str) -> str:
    """The value as text; an exact number without the zeros that a wider type adds to it."""
    return f"trim_scale({value}::text::numeric)::text" if column.type.kind is Kind.DECIMAL else f"{value}::text"


def next_expected_key(model: Model, table: WarehouseTable) -> str:
    """The least key that the oracle gives, from a parameter on."""
    return f"{_referenced(model, table)} {_least_from(table, f'({table.oracle})')}"


def next_found_key(table: WarehouseTable, schema: str) -> str:
    """The least key in the warehouse, from a parameter on. All versions of a fact are as good as the current ones."""
    return _least_from(table, qualified(schema, table.name))


def referenced_keys(model: Model, table: WarehouseTable, schema: str) -> str:
    """Those of the keys in the parameter, as text, that a version of a fact in the warehouse refers to."""
    return " UNION ".join(
        f"{_keys_in(qualified(schema, fact.name), columns, 'reference.key::text')} WHERE reference.key::text = ANY ($1)"
        for fact, columns in _references(model, table)
    )


def _relation(table: WarehouseTable, schema: str) -> str:
    return qualified(schema, table.current if isinstance(table, Fact) else table.name)


def _within(table: WarehouseTable) -> str:
    return f"WHERE {ident(table.key)} BETWEEN $1::bigint AND $2::bigint"


def _least_from(table: WarehouseTable, relation: str) -> str:
    return f"SELECT min({ident(table.key)}) FROM {relation} AS keys WHERE {ident(table.key)} >= $1::bigint"


def _references(model: Model, table: WarehouseTable) -> Iterator[tuple[Fact, list[str]]]:
    """The facts that refer to the table, each with its columns that do."""
    for fact in model.facts:
        columns = [column.name for column in fact.columns if column.references == table.name]
        if columns:
            yield fact, columns


def _referenced(model: Model, table: WarehouseTable) -> str:
    """The relation that the oracle of a dimension without sources asks: the keys that facts should refer to."""
    if table.sources:
        return ""
    keys = " UNION ".join(
        f"{_keys_in(f'({fact.oracle})', columns, 'reference.key')} WHERE reference.key IS NOT NULL {_possible(fact)}"
        for fact, columns in _references(model, table)
    )
    none = f"SELECT NULL::{table.column(table.key).type.postgres} WHERE false"
    return f"WITH referenced (key) AS ({keys or none})"


def _keys_in(relation: str, columns: list[str], key: str) -> str:
    values = ", ".join(f"(fact.{ident(name)})" for name in columns)
    return f"SELECT DISTINCT {key} FROM {relation} AS fact CROSS JOIN LATERAL (VALUES {values}) AS reference (key)"


def _possible(fact: Fact) -> str:
    """Tells a row that can become a fact from one that cannot, and refers to nothing therefore."""
    required = [column.name for column in fact.columns if not column.nullable]
    return f"AND num_nulls({column_list(required, 'fact')}) = 0"
