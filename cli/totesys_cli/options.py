"""The options that several commands have."""

from typing import Annotated

import typer

DSN = "postgresql://user:password@host:port/database"
# In the environment no other account of the machine sees a password.
SourceDsn = Annotated[str, typer.Option("--source", envvar="TOTESYS_SOURCE_DSN", help=DSN)]
WarehouseDsn = Annotated[str, typer.Option("--warehouse", envvar="TOTESYS_WAREHOUSE_DSN", help=DSN)]
ModelName = Annotated[str, typer.Option("--model", envvar="TOTESYS_MODEL", help="module that declares the tables")]
SourceSchema = Annotated[str, typer.Option(envvar="TOTESYS_SOURCE_SCHEMA", help="schema of the source tables")]
WarehouseSchema = Annotated[str, typer.Option(envvar="TOTESYS_WAREHOUSE_SCHEMA", help="schema of the warehouse tables")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
AsLines = Annotated[bool, typer.Option("--json", help="print a JSON object a line")]
DEFAULT_MODEL = "totesys.model"

PlaneName = Annotated[
    str,
    typer.Option(
        "--name", envvar="TOTESYS_NAME", help="name of the data plane, before those of its queues and buckets"
    ),
]
DEFAULT_PLANE = "totesys"
Endpoint = Annotated[
    str | None,
    typer.Option("--endpoint", help="address of a local stack's lake; AWS's own settings if not given"),
]
