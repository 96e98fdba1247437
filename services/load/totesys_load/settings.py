"""What load can be told besides what every service can."""

from datetime import timedelta

from pydantic import SecretStr

from totesys.settings import ServiceSettings


class LoadSettings(ServiceSettings):
    """Settings of load."""

    warehouse_dsn: SecretStr
    warehouse_schema: str = "warehouse"

    # How long to wait for another load, or for whoever else locks a table of the warehouse.
    lock_timeout: timedelta = timedelta(seconds=60)
    # A run is bounded; a statement that takes longer than this has lost its server.
    statement_timeout: timedelta = timedelta(hours=1)
