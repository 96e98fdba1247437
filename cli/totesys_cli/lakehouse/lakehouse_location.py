"""The options that name the lakehouse's tables."""

from dataclasses import dataclass, field
from typing import Annotated

import typer

_GROUP = "Lakehouse"

CatalogDsn = Annotated[
    str | None,
    typer.Option(
        "--catalog",
        envvar="TOTESYS_LAKEHOUSE_CATALOG_DSN",
        help="Iceberg catalog: glue, postgresql://… or sqlite:////folder/file.",
        metavar="DSN",
        rich_help_panel=_GROUP,
    ),
]
Namespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        envvar="TOTESYS_LAKEHOUSE_NAMESPACE",
        help="Namespace of the Iceberg tables.",
        rich_help_panel=_GROUP,
    ),
]


@dataclass(frozen=True)
class LakehouseLocation:
    """Where the lakehouse's tables are registered. AWS's settings say where their files are."""

    catalog: CatalogDsn = field(default=None, repr=False)
    namespace: Namespace = "lakehouse"

    @property
    def required_catalog(self) -> str:
        """The catalog. Raises BadParameter if none was named."""
        if not self.catalog:
            raise typer.BadParameter("Name the Iceberg catalog.", param_hint="--catalog")
        return self.catalog
