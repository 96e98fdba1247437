"""The commands of `totesys lakehouse`: `views`, `base`, `maintain`."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from totesys_cli.durations import parse_period
from totesys_cli.lakehouse.lakehouse_location import LakehouseLocation, Namespace
from totesys_cli.options import DEFAULT_MODEL, ModelName, examples, grouped
from totesys_cli.terminal import Output

lakehouse = typer.Typer(help="Views over the Iceberg tables, and their upkeep.", no_args_is_help=True)


class DialectName(StrEnum):
    """The engines that statements are generated for."""

    ATHENA = "athena"
    TRINO = "trino"
    SPARK = "spark"
    REDSHIFT = "redshift"
    SNOWFLAKE = "snowflake"
    DUCKDB = "duckdb"


DialectOption = Annotated[DialectName, typer.Option("--dialect", help="Engine that runs the statements.")]
Margin = Annotated[
    int,
    typer.Option(
        "--margin", metavar="N", min=0, max=3600, help="Seconds that a run has been committed for before it is read."
    ),
]


@lakehouse.command(
    epilog=examples("totesys lakehouse views --dialect athena", "totesys lakehouse views --dialect spark --as-of 42")
)
@grouped
def views(
    dialect: DialectOption,
    location: LakehouseLocation,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Run or time, such as 42 or 2026-11-30T12:00Z: views of that state instead."),
    ] = None,
    base: Annotated[
        list[str], typer.Option("--base", help="Fact whose base table its current view reads. Repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    margin: Margin = 5,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Print the statements that create the views. For duckdb with --catalog, also those that show the tables."""
    from totesys_cli.lakehouse.view_scripts import ViewOptions, print_views

    options = ViewOptions(str(dialect), location.namespace, model, margin, frozenset(base))
    print_views(options, _cut(as_of), location.catalog)


@lakehouse.command(
    "base",
    epilog=examples("totesys lakehouse base --dialect spark", "totesys lakehouse base --dialect spark fact_order"),
)
@grouped
def base_tables(
    dialect: DialectOption,
    fact: Annotated[list[str], typer.Argument(help="Facts. Default: all.")] = [],  # noqa: B006 - typer copies it
    margin: Margin = 5,
    namespace: Namespace = "lakehouse",
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Print the statements that build base tables: with them, current views read less."""
    from totesys_cli.lakehouse.view_scripts import ViewOptions, print_bases

    print_bases(ViewOptions(str(dialect), namespace, model, margin, frozenset()), fact)


@lakehouse.command(epilog=examples("totesys lakehouse maintain --catalog sqlite:////data/lake/lakehouse.sqlite"))
@grouped
def maintain(
    location: LakehouseLocation,
    output: Output,
    keep: Annotated[str, typer.Option("--keep", help="Snapshots younger than this stay: 30m, 24h.")] = "24h",
    remove_after: Annotated[
        str, typer.Option("--remove-after", help="Unused files younger than this stay: 24h, 72h.")
    ] = "72h",
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Join small files, expire old snapshots and remove unused files. On AWS, Glue's table optimizers do this."""
    from totesys_cli.lakehouse.maintain_command import run_upkeep

    run_upkeep(output, location, model, parse_period(keep), parse_period(remove_after))


def _cut(text: str | None) -> int | datetime | None:
    """A run number or a time. Raises BadParameter."""
    if text is None or text.isdecimal():
        return int(text) if text else None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a run number nor an ISO 8601 time.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).replace(tzinfo=None)
