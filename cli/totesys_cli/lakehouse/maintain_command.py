"""`totesys lakehouse maintain`."""

from contextlib import closing
from datetime import timedelta

from rich.console import Group
from rich.text import Text

from totesys.schema import load_model
from totesys_cli.lakehouse.lakehouse_location import LakehouseLocation
from totesys_cli.progress import LINE_SECONDS, progress
from totesys_cli.terminal import Output, table
from totesys_lakehouse.iceberg_catalog import open_catalog
from totesys_lakehouse.iceberg_store import IcebergStore
from totesys_lakehouse.lakehouse_errors import CommitConflict
from totesys_lakehouse.lakehouse_tables import LakehouseTable, lakehouse_tables
from totesys_lakehouse.table_upkeep import Upkeep, UpkeepRules, maintain

ATTEMPTS = 5


def run_upkeep(
    output: Output, location: LakehouseLocation, model: str, keep: timedelta, remove_after: timedelta
) -> None:
    """Do the upkeep of every table and print what was done. Raises TotesysError."""
    tables = lakehouse_tables(load_model(model))
    catalog = open_catalog(location.required_catalog, None)
    with (
        closing(IcebergStore(catalog, location.namespace)) as store,
        progress(len(tables), every=LINE_SECONDS) as steps,
    ):
        store.require(tables)
        done = []
        for one in tables:
            done.append(_maintain(store, one, UpkeepRules(keep, remove_after)))
            steps.step(one.name)
    rows = table("table", numbers=("files joined", "snapshots expired", "files removed"))
    for upkeep in done:
        counts = (upkeep.files_joined, upkeep.snapshots_expired, upkeep.files_removed)
        rows.add_row(upkeep.table, *(f"{count:,}" for count in counts))
    output.result({"tables": done}, Group(rows, Text("No row changed.")))


def _maintain(store: IcebergStore, one: LakehouseTable, rules: UpkeepRules) -> Upkeep:
    """Do the upkeep of a table, again if the service committed to it meanwhile."""
    for _ in range(ATTEMPTS - 1):
        try:
            return maintain(store, one, rules)
        except CommitConflict:
            continue
    return maintain(store, one, rules)
