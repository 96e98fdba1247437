"""What load can be told besides what every service can."""

from datetime import timedelta

from pydantic import Field, SecretStr

from totesys.settings import ServiceSettings


class LoadSettings(ServiceSettings):
    """Settings of load."""

    warehouse_dsn: SecretStr
    warehouse_schema: str = "warehouse"
    # Only for verification, which compares the warehouse with the source: a role that may SELECT.
    source_dsn: SecretStr | None = None
    source_schema: str = "public"

    # How often it tells how old what the warehouse shows is.
    freshness_every: timedelta = Field(default=timedelta(minutes=1), gt=timedelta(0))

    # How long to wait for another load, or for whoever else locks a table of the warehouse.
    lock_timeout: timedelta = Field(default=timedelta(seconds=60), gt=timedelta(0))
    # A run is bounded; a statement that takes longer than this has lost its server.
    statement_timeout: timedelta = Field(default=timedelta(hours=1), gt=timedelta(0))
