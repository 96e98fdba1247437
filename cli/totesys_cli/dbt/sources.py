"""The stars as dbt sources, with tests for what their declarations promise, and the ledger with its freshness."""

import re
from collections.abc import Iterable, Iterator

from totesys.ledger_schema import RUN, LedgerTable, column_types
from totesys.schema import ETL, Model
from totesys.table import Column, Dimension, Fact, WarehouseTable
from totesys_cli.analyst.analyst_rights import LEDGER
from totesys_cli.dbt.yaml import Yaml

UNKNOWN = "Unknown"
_FRESHNESS: dict[str, Yaml] = {
    # A source without changes has no new run, so missing data is an error only after a day.
    "loaded_at_query": f"SELECT max(snapshot_time) FROM {ETL}.run WHERE complete",
    "freshness": {
        "warn_after": {"count": 30, "period": "minute"},
        "error_after": {"count": 1, "period": "day"},
    },
}


def sources(model: Model) -> list[Yaml]:
    """The sources: the stars in the order of their declarations, then the ledger."""
    described: set[str] = set()
    found = []
    for star in model.stars:
        found.append(_star(model, star, described))
        described |= {table.name for table in model.stars[star]}
    return [*found, _ledger()]


def _star(model: Model, star: str, tested: set[str]) -> Yaml:
    """A star; the dimensions that are `tested` with another star are only described."""
    tables: list[Yaml] = []
    for table in model.stars[star]:
        if isinstance(table, Fact):
            tables += [_current(model, star, table), _versions(table)]
        else:
            tables.append(_dimension(model, star, table, tested=table.name in tested))
    return {
        "name": star,
        "description": f"The star {star}: one fact and the dimensions that it refers to",
        "config": _FRESHNESS,
        "tables": tables,
    }


def _current(model: Model, star: str, fact: Fact) -> Yaml:
    description = (
        f"{fact.description}. Only the newest version of each {fact.key_label}, without deleted rows: start here"
    )
    columns = [
        _column(column, _tests(model, star, fact, column, unique=(column.name,) in (fact.key_names, (fact.record_id,))))
        for column in fact.stored_columns
    ]
    return {"name": fact.current, "description": _text(description), "columns": columns}


def _versions(fact: Fact) -> Yaml:
    """Every version. Versions from before a column was added have NULL there, so only the ids are tested."""
    tests: dict[str, list[Yaml]] = {name: ["not_null"] for name in fact.key_names}
    tests[fact.record_id] = ["unique", "not_null"]
    columns = [_column(column, tests.get(column.name, [])) for column in fact.stored_columns]
    return {"name": fact.name, "description": _text(f"{fact.description}. Every version"), "columns": columns}


def _dimension(model: Model, star: str, table: WarehouseTable, *, tested: bool) -> Yaml:
    columns = [
        _column(column, [] if tested else _tests(model, star, table, column, unique=table.key_names == (column.name,)))
        for column in table.stored_columns
    ]
    return {"name": table.name, "description": _text(table.description), "columns": columns}


def _tests(model: Model, star: str, table: WarehouseTable, column: Column, *, unique: bool) -> list[Yaml]:
    tests: list[Yaml] = ["unique"] if unique else []
    if not column.nullable:
        tests.append("not_null")
    referenced = {other.name: other for other in model.stars[star]}.get(column.references or "")
    if referenced is not None and len(referenced.key_names) == 1:
        to, key = f"source('{star}', '{referenced.name}')", referenced.only_key
        tests.append({"relationships": {"arguments": {"to": to, "field": key}}})
    if values := list(_accepted(model, table, column)):
        # A new label in the source also reaches the warehouse: a warning, not an error.
        arguments: Yaml = {"values": values}
        tests.append({"accepted_values": {"arguments": arguments, "config": {"severity": "warn"}}})
    return tests


def _accepted(model: Model, table: WarehouseTable, column: Column) -> Iterator[str]:
    """The labels of the column's enum, if the column comes from exactly one source column."""
    names = [name.partition(".")[::2] for name in model.source_columns(table, column)]
    if len(names) == 1:
        (source, name) = names[0]
        origin = model.source(source).column(name)
        yield from origin.type.values
        if origin.type.values and origin.nullable and not column.nullable and isinstance(table, Dimension):
            yield UNKNOWN


def _column(column: Column, tests: list[Yaml]) -> Yaml:
    about: dict[str, Yaml] = {"name": column.name, "data_type": column.type.postgres}
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", column.name):
        about["quote"] = True
    if column.description:
        about["description"] = _text(column.description)
    return about | ({"data_tests": tests} if tests else {})


def _ledger() -> Yaml:
    return {
        "name": ETL,
        "description": "The ledger: which runs are in the warehouse, and what each brought",
        "tables": [
            {
                "name": table.name,
                "description": table.description,
                **({"config": _FRESHNESS} if table is RUN else {}),
                "columns": [{"name": name, "data_type": kind} for name, kind in _columns(table)],
            }
            for table in LEDGER
        ],
    }


def _columns(table: LedgerTable) -> Iterable[tuple[str, str]]:
    return (column_types(table.columns) | column_types(table.added)).items()


def _text(text: str) -> str:
    """The text, escaped so that dbt does not render it as a template."""
    return re.sub(r"\{[{%#]", lambda found: f"{{{{ '{found[0]}' }}}}", text)
