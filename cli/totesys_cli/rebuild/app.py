"""`totesys rebuild`: its options."""

from rich.console import Console

from totesys_cli.options import (
    DEFAULT_MODEL,
    DEFAULT_PLANE,
    AsJson,
    Endpoint,
    ModelName,
    PlaneName,
    WarehouseDsn,
    WarehouseSchema,
)
from totesys_cli.stop import run_until_stopped


def rebuild(
    warehouse: WarehouseDsn,
    warehouse_schema: WarehouseSchema = "warehouse",
    json: AsJson = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Load every run of the lake into an empty database. The lake is only read; called again, it goes on."""
    from totesys_cli.place import Place
    from totesys_cli.rebuild.command import Target, run_rebuild

    target = Target(warehouse, warehouse_schema, model)
    run_until_stopped(run_rebuild(Console(), Place(name, endpoint), target, json=json), has_end=True)
