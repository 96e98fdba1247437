"""A drafted model as a Python module. Pure."""

from collections.abc import Iterator

from totesys.sql import column_list, ident
from totesys_cli.model.draft_tables import DraftColumn, DraftModel, DraftTable
from totesys_cli.model.draft_types import literal

_WIDTH = 120
_HEAD = '''"""The model of {name}: its source tables, and the warehouse tables that are built from them.

Drafted by `totesys model draft`. Every TODO is a decision. Afterwards run `totesys model check`.
"""

import polars as pl

from totesys.schema import Model
from totesys.table import {tables}
from totesys.types import {types}


def unchanged(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The rows as they are."""
    return frame


'''


def to_module(model: DraftModel, name: str) -> str:
    """The source of the module. `name` is that of the model and of its star."""
    facts = [table for table in model.tables if table.is_fact]
    dimensions = [table for table in model.tables if not table.is_fact]
    parts = [_HEAD.format(name=name, tables=", ".join(_table_imports(facts, dimensions)), types=_type_imports(model))]
    parts += [f"# TODO: {sentence}\n" for sentence in model.left_out]
    parts += ["# Source tables.\n", *map(_source, model.tables)]
    parts += ["\n# Dimensions.\n", *map(_dimension, dimensions)] if dimensions else []
    referred = {(table.name, table.key): f"dim_{table.label}" for table in dimensions}
    parts += ["\n# Facts.\n", *(_fact(table, name, referred) for table in facts)] if facts else []
    parts.append(_model(model, name))
    return "".join(parts)


def _table_imports(facts: list[DraftTable], dimensions: list[DraftTable]) -> Iterator[str]:
    yield from ("Capture",) if facts else ()
    yield "Column"
    yield from ("Dimension",) if dimensions else ()
    yield from ("Fact",) if facts else ()
    yield "SourceTable"


def _type_imports(model: DraftModel) -> str:
    used = {column.type.partition("(")[0] for table in model.tables for column in table.columns}
    return ", ".join(sorted(used, key=lambda name: (name.islower(), name)))


def _source(table: DraftTable) -> str:
    todos = "".join(f"# TODO: {table.name}: {decision}\n" for decision in table.decisions)
    options = "    capture=Capture.INCREMENTAL,\n" if table.is_fact else ""
    options += "    unenforced_key=True,\n" if table.unenforced else ""
    columns = "".join(f"        {_column(column)},\n" for column in table.columns)
    return (
        f"{todos}{table.label.upper()} = SourceTable(\n    {literal(table.name)},\n    key={literal(table.key)},\n"
        f"{options}    columns=(\n{columns}    ),\n)\n"
    )


def _column(column: DraftColumn, references: str | None = None) -> str:
    parts = [literal(column.name), column.type]
    parts += ["nullable=True"] if column.nullable else []
    parts += [f"references={literal(references)}"] if references else []
    return f"Column({', '.join(parts)})"


def _dimension(table: DraftTable) -> str:
    columns = "".join(f"        {_column(column)},\n" for column in table.columns)
    return (
        f"DIM_{table.label.upper()} = Dimension(\n    {literal(f'dim_{table.label}')},\n"
        f"    description={literal(f'A row of {table.name}')},\n{_rest(table, columns)})\n"
    )


def _fact(table: DraftTable, star: str, referred: dict[tuple[str, str], str]) -> str:
    columns = ""
    for column in table.columns:
        key = column.reference
        columns += f"        {_column(column, referred.get((key.table, key.column)) if key else None)},\n"
    return (
        f"FACT_{table.label.upper()} = Fact(\n    {literal(f'fact_{table.label}')},\n"
        f"    description={literal(f'A version of a row of {table.name}')},\n"
        f"    star={literal(star)},\n    record_id={literal(f'{table.label}_record_id')},\n{_rest(table, columns)})\n"
    )


def _rest(table: DraftTable, columns: str) -> str:
    names = column_list(column.name for column in table.columns)
    query = f"SELECT {names} FROM {ident(table.name)}"
    line = f"    reference_query={literal(query)},"
    if len(line) > _WIDTH:
        line = "    reference_query=(\n" + "".join(f"        {piece}\n" for piece in _pieces(query)) + "    ),"
    return (
        f"    key={literal(table.key)},\n    columns=(\n{columns}    ),\n    sources=({table.label.upper()}.name,),\n"
        f"    build=unchanged,\n{line}\n"
    )


def _pieces(query: str) -> Iterator[str]:
    """A long query as string literals that follow each other."""
    piece = ""
    for word in query.split(" "):
        if piece and len(literal(f"{piece}{word} ")) > _WIDTH - 8:
            yield literal(piece)
            piece = ""
        piece += f"{word} "
    yield literal(piece.rstrip())


def _model(model: DraftModel, name: str) -> str:
    sources = [table.label.upper() for table in model.tables]
    tables = [
        f"{'FACT' if table.is_fact else 'DIM'}_{label}" for table, label in zip(model.tables, sources, strict=True)
    ]
    return f"\nMODEL = Model(\n    name={literal(name)},\n{_tuple('sources', sources)}{_tuple('tables', tables)})\n"


def _tuple(argument: str, names: list[str]) -> str:
    return f"    {argument}=(\n{''.join(f'        {name},' + chr(10) for name in names)}    ),\n"
