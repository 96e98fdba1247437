"""What load can be told besides what every service can."""

from datetime import timedelta

from pydantic import Field, SecretStr

from totesys.settings import ServiceSettings


class LoadSettings(ServiceSettings):
    """Settings of load."""

    warehouse_dsn: SecretStr = Field(description="The warehouse: `postgresql://user:password@host:port/database`.")
    warehouse_schema: str = Field(default="warehouse", description="The schema of the warehouse's tables.")
    source_dsn: SecretStr | None = Field(
        default=None,
        description="The source, only for verification, which compares the warehouse with it: a role that may SELECT.",
    )
    source_schema: str = Field(default="public", description="The schema of the source's tables.")

    freshness_every: timedelta = Field(
        default=timedelta(minutes=1),
        gt=timedelta(0),
        description="How often it tells how old what the warehouse shows is.",
    )
    lock_timeout: timedelta = Field(
        default=timedelta(seconds=60),
        gt=timedelta(0),
        description="How long to wait for another load, or for whoever else locks a table of the warehouse.",
    )
    statement_timeout: timedelta = Field(
        default=timedelta(hours=1),
        gt=timedelta(0),
        description="How long a statement may take. A run is bounded: what takes longer than this has lost its server.",
    )
