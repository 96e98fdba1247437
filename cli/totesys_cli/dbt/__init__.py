"""The warehouse as dbt sources and exposures, derived from the declarations. Pure."""

from totesys.reporting import Report
from totesys.schema import Model
from totesys_cli.dbt.exposures import exposures
from totesys_cli.dbt.sources import sources
from totesys_cli.dbt.yaml import Yaml, to_yaml

HEADER = "# Generated from the declarations by `make docs`. Do not edit.\n"


def to_dbt(model: Model, report: Report | None) -> str:
    """dbt properties: a source for each star and for the ledger, and an exposure for each chapter of the report."""
    document: dict[str, Yaml] = {"version": 2, "sources": sources(model)}
    if report:
        document["exposures"] = exposures(model, report)
    return HEADER + to_yaml(document)
