"""The SQL that users run in their own engines."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from totesys.schema import Model, load_model
from totesys.table import Fact
from totesys_cli.command_errors import UsageError
from totesys_lakehouse.lakehouse_tables import lakehouse_tables
from totesys_lakehouse.lakehouse_views import base_script, view_script
from totesys_lakehouse.view_dialects import DIALECTS, DUCKDB
from totesys_lakehouse.view_queries import Cut, Queries


@dataclass(frozen=True)
class ViewOptions:
    """What the statements depend on. `bases` are the facts that have a base table."""

    dialect: str
    namespace: str
    model: str
    margin_seconds: int
    bases: frozenset[str]


def print_views(options: ViewOptions, cut: int | datetime | None, catalog: str | None) -> None:
    """Print the views; for DuckDB with a catalog, first those that show its tables. Raises TotesysError."""
    model = load_model(options.model)
    _require_facts(model, options.bases)
    if options.dialect == DUCKDB.name and catalog:
        print(_scans(options, model, catalog), end="")
    chosen = None if cut is None else Cut(run=cut) if isinstance(cut, int) else Cut(moment=cut)
    print(view_script(_queries(options, model), chosen), end="")


def print_bases(options: ViewOptions, facts: Sequence[str]) -> None:
    """Print the statements that build base tables. Raises UsageError."""
    model = load_model(options.model)
    _require_facts(model, facts)
    for table in lakehouse_tables(model):
        if isinstance(table.declared, Fact) and (not facts or table.name in facts):
            print(base_script(_queries(options, model), table), end="")


def _queries(options: ViewOptions, model: Model) -> Queries:
    return Queries(model, DIALECTS[options.dialect], options.namespace, options.margin_seconds, options.bases)


def _require_facts(model: Model, names: Sequence[str] | frozenset[str]) -> None:
    facts = [fact.name for fact in model.facts]
    if unknown := sorted(set(names) - set(facts)):
        raise UsageError(f"{', '.join(unknown)} is not a fact of the model. Name some of {', '.join(facts)}.")


def _scans(options: ViewOptions, model: Model, catalog: str) -> str:
    from totesys_lakehouse.duckdb_scans import scan_script
    from totesys_lakehouse.iceberg_catalog import open_catalog
    from totesys_lakehouse.iceberg_store import IcebergStore

    with closing(IcebergStore(open_catalog(catalog, None), options.namespace)) as store:
        return scan_script(store, lakehouse_tables(model))
