"""Settings of the lakehouse service."""

from datetime import timedelta

from pydantic import Field, SecretStr

from totesys.service_settings import Period, ServiceSettings

MARGIN = timedelta(seconds=5)


class LakehouseSettings(ServiceSettings):
    """Settings of the lakehouse service."""

    lakehouse_catalog_dsn: SecretStr = Field(
        min_length=1,
        description="The Iceberg catalog: `glue`, `postgresql://user:password@host:port/database` or "
        "`sqlite:////folder/file`.",
    )
    lakehouse_namespace: str = Field(
        default="lakehouse",
        pattern=r"^[a-z][a-z0-9_]{0,62}$",
        description="The namespace of the Iceberg tables: a database in Glue, Athena and Spark.",
    )
    lakehouse_location: str = Field(
        default="",
        pattern=r"^(s3://[^/]+(/[^/]+)*)?$",
        description="The folder of the Iceberg tables, such as `s3://bucket/folder`. If empty: `lakehouse` in the "
        "processed bucket.",
    )
    lakehouse_batch_mib: int = Field(
        default=16,
        ge=1,
        le=1024,
        description="While catching up, runs are committed together until their Parquet reaches this size, in MiB. "
        "They need about thirty times as much memory.",
    )
    lakehouse_slow_commit: Period = Field(
        default=MARGIN,
        ge=timedelta(milliseconds=100),
        le=timedelta(hours=1),
        description="A commit of the ledger that takes longer is logged as a warning. The views leave out runs "
        "committed less than this ago; generate them again if you change it.",
    )
    lakehouse_keep_snapshots: Period = Field(
        default=timedelta(hours=1),
        ge=timedelta(0),
        le=timedelta(days=30),
        description="Commits expire old snapshots, but none younger than this: queries in progress read them.",
    )

    @property
    def location(self) -> str:
        """Where the tables are."""
        return self.lakehouse_location or f"s3://{self.processed_bucket}/lakehouse"
