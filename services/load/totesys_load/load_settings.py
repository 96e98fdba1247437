"""The settings of load, besides those of every service."""

from datetime import timedelta

from pydantic import Field, SecretStr

from totesys.service_settings import LONGEST_LIMIT, SHORTEST_LIMIT, SHORTEST_PERIOD, Period, ServiceSettings


class LoadSettings(ServiceSettings):
    """Settings of load."""

    warehouse_dsn: SecretStr = Field(
        min_length=1, description="The warehouse: `postgresql://user:password@host:port/database`."
    )
    warehouse_schema: str = Field(
        default="warehouse", min_length=1, max_length=63, description="The schema of the warehouse's tables."
    )
    source_dsn: SecretStr | None = Field(
        default=None,
        description="The source, only for verification, which compares the warehouse with it: a role that may SELECT.",
    )
    source_schema: str = Field(
        default="public", min_length=1, max_length=63, description="The schema of the source's tables."
    )

    freshness_every: Period = Field(
        default=timedelta(minutes=1),
        ge=SHORTEST_PERIOD,
        le=timedelta(days=1),
        description="Interval of the freshness metric.",
    )
    lock_timeout: Period = Field(
        default=timedelta(seconds=60),
        ge=SHORTEST_LIMIT,
        le=LONGEST_LIMIT,
        description="How long to wait for another load, or for another lock on a table of the warehouse.",
    )
    statement_timeout: Period = Field(
        default=timedelta(hours=1),
        ge=SHORTEST_LIMIT,
        le=LONGEST_LIMIT,
        description="Time limit of a statement. Runs are bounded, so a statement that exceeds it has lost its server.",
    )
