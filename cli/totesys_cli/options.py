"""The options that several commands share. Each group of options is a dataclass, declared once."""

import re
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, Literal, get_origin
from urllib.parse import urlsplit

import typer

from totesys_cli.command_errors import UsageError

# How help groups the options.
_DATABASES, _DATA_PLANE = "Databases", "Data plane"
_FORM = "postgresql://… or host=… dbname=…"


def _database_option(name: str, variable: str, description: str, metavar: str | None = None) -> Any:
    # A password in the environment is not visible in the process list.
    return typer.Option(
        name, envvar=f"TOTESYS_{variable}", help=description, metavar=metavar, rich_help_panel=_DATABASES
    )


SourceDsn = Annotated[str, _database_option("--source", "SOURCE_DSN", f"Source: {_FORM}", "DSN")]
WarehouseDsn = Annotated[str, _database_option("--warehouse", "WAREHOUSE_DSN", f"Warehouse: {_FORM}", "DSN")]
OptionalWarehouseDsn = Annotated[
    str | None, _database_option("--warehouse", "WAREHOUSE_DSN", f"Warehouse: {_FORM}", "DSN")
]
OptionalOtherDsn = Annotated[
    str | None, _database_option("--with", "OTHER_WAREHOUSE_DSN", f"Other warehouse: {_FORM}", "DSN")
]
ModelName = Annotated[str, _database_option("--model", "MODEL", "Module that declares the tables.")]
SourceSchema = Annotated[str, _database_option("--source-schema", "SOURCE_SCHEMA", "Schema of the source tables.")]
WarehouseSchema = Annotated[
    str, _database_option("--warehouse-schema", "WAREHOUSE_SCHEMA", "Schema of the warehouse tables.")
]
PlaneName = Annotated[
    str,
    typer.Option(
        "--name",
        envvar="TOTESYS_NAME",
        help="Name of the data plane: the prefix of its buckets and queues.",
        rich_help_panel=_DATA_PLANE,
    ),
]
PlaneEndpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar="TOTESYS_ENDPOINT",
        metavar="URL",
        help="Local stack's lake. Default: AWS settings (AWS_PROFILE, AWS_ENDPOINT_URL, …).",
        rich_help_panel=_DATA_PLANE,
    ),
]
# What `totesys demo --break` breaks.
DemoFault = Literal["drift", "outage", "quarantine", "poison"]
Timeout = Annotated[str, typer.Option(help="Longest wait: 30s, 10m, 1h.")]
DEFAULT_MODEL = "totesys.model"
DEFAULT_PLANE = "totesys"


@dataclass(frozen=True)
class Databases:
    """The databases of a pipeline. `model` is the module whose MODEL declares the tables."""

    source: SourceDsn = field(repr=False)
    warehouse: WarehouseDsn = field(repr=False)
    model: ModelName = DEFAULT_MODEL
    source_schema: SourceSchema = "public"
    warehouse_schema: WarehouseSchema = "warehouse"

    def environment(self) -> dict[str, str]:
        """The services' settings."""
        return {
            "TOTESYS_SOURCE_DSN": self.source,
            "TOTESYS_WAREHOUSE_DSN": self.warehouse,
            "TOTESYS_MODEL": self.model,
            "TOTESYS_SOURCE_SCHEMA": self.source_schema,
            "TOTESYS_WAREHOUSE_SCHEMA": self.warehouse_schema,
        }


@dataclass(frozen=True)
class SourceAndTarget:
    """A source, and the warehouse that it is compared with unless that is the lakehouse."""

    source: SourceDsn = field(repr=False)
    warehouse: OptionalWarehouseDsn = field(default=None, repr=False)
    model: ModelName = DEFAULT_MODEL
    source_schema: SourceSchema = "public"
    warehouse_schema: WarehouseSchema = "warehouse"

    @property
    def databases(self) -> Databases:
        """Both databases. Raises UsageError if no warehouse was named."""
        warehouse = require_option(self.warehouse, "--warehouse")
        return Databases(self.source, warehouse, self.model, self.source_schema, self.warehouse_schema)


@dataclass(frozen=True)
class WarehouseLocation:
    """One warehouse. `model` is the module whose MODEL declares its tables."""

    dsn: WarehouseDsn = field(repr=False)
    schema: WarehouseSchema = "warehouse"
    model: ModelName = DEFAULT_MODEL


@dataclass(frozen=True)
class DataPlaneLocation:
    """Where buckets and queues are: their common name, and a local stack's address (None: the AWS settings apply).

    Raises UsageError for a name that no data plane can have, or an endpoint that is not a URL.
    """

    name: PlaneName = DEFAULT_PLANE
    endpoint: PlaneEndpoint = None

    def __post_init__(self) -> None:
        require_name(self.name)
        if self.endpoint is not None:
            require_url(self.endpoint)

    def bucket(self, kind: Literal["ingest", "processed"]) -> str:
        """The name of a bucket."""
        return f"{self.name}-{kind}"

    def queue(self, stage: str) -> str:
        """The name of the queue that triggers a stage."""
        return f"{self.name}-{stage}"

    def dead_letter_queue(self, stage: str) -> str:
        """The name of a stage's dead-letter queue."""
        return f"{self.name}-{stage}-dlq"


def require_option(value: str | None, name: str) -> str:
    """The value of an option that --lakehouse replaces. Raises UsageError if it was not given."""
    if value is None:
        raise UsageError(f"Missing option {name}. Give it, or --lakehouse.")
    return value


def require_name(name: str) -> None:
    """Raise UsageError unless a data plane may have this name."""
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,39}", name):
        raise UsageError(
            f"--name {name!r} is not a valid name. Write at most 40 lower-case letters, digits and hyphens."
        )


def require_url(endpoint: str) -> None:
    """Raise UsageError unless `endpoint` is an HTTP address."""
    try:
        parts = urlsplit(endpoint)
        # Reading the port checks it.
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and " " not in endpoint
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"--endpoint {endpoint!r} is not a URL. Write http://HOST:PORT, as `totesys run` prints it.")


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each dataclass parameter of `command` by an option per annotated field, after its own options."""
    own: list[Parameter] = []
    groups: dict[str, Any] = {}
    for parameter in signature(command).parameters.values():
        if is_dataclass(parameter.annotation):
            groups[parameter.name] = parameter.annotation
        else:
            own.append(parameter.replace(kind=Parameter.KEYWORD_ONLY))
    parameters = [*own, *(_option(one) for group in groups.values() for one in _option_fields(group))]

    @wraps(command)
    def call(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{one.name: given.pop(one.name) for one in _option_fields(group)})
        command(**given)

    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _option_fields(group: Any) -> list[Field[Any]]:
    return [one for one in fields(group) if get_origin(one.type) is Annotated]


def _option(one: Field[Any]) -> Parameter:
    default = Parameter.empty if one.default is MISSING else one.default
    return Parameter(one.name, Parameter.KEYWORD_ONLY, default=default, annotation=one.type)


def examples(*calls: str) -> str:
    """The part of a command's help that shows how to call it."""
    return "\n\n".join(["Examples:", *calls])
