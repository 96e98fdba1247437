"""The two databases that a call names."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Databases:
    """What the pipeline runs against. `model` is the module whose MODEL declares the tables."""

    source: str = field(repr=False)
    warehouse: str = field(repr=False)
    model: str = "totesys.model"
    source_schema: str = "public"
    warehouse_schema: str = "warehouse"

    def environment(self) -> dict[str, str]:
        """The services' settings."""
        return {
            "TOTESYS_SOURCE_DSN": self.source,
            "TOTESYS_WAREHOUSE_DSN": self.warehouse,
            "TOTESYS_MODEL": self.model,
            "TOTESYS_SOURCE_SCHEMA": self.source_schema,
            "TOTESYS_WAREHOUSE_SCHEMA": self.warehouse_schema,
        }
