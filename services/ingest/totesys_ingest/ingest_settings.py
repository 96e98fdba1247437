"""The settings of ingest, besides those of every service."""

from datetime import timedelta

from pydantic import Field, SecretStr

from totesys.service_settings import LONGEST_LIMIT, SHORTEST_LIMIT, Period, ServiceSettings

MIB = 1024 * 1024
GIB = 1024 * MIB


class IngestSettings(ServiceSettings):
    """Settings of ingest."""

    source_dsn: SecretStr = Field(
        min_length=1, description="The source: `postgresql://user:password@host:port/database`."
    )
    source_schema: str = Field(
        default="public", min_length=1, max_length=63, description="The schema of the source's tables."
    )

    part_bytes: int = Field(
        default=16 * MIB,
        ge=MIB,
        le=GIB,
        description="Size at which ingest ends a part. Transform and load hold one part in memory, which takes several "
        "times its bytes, in a task of 512 MB.",
    )
    run_bytes: int = Field(
        default=64 * MIB,
        ge=MIB,
        le=1024 * GIB,
        description="Size at which ingest ends a run. A run becomes visible at once, and transform and load process it "
        "while ingest writes the next.",
    )
    scan_bytes: int = Field(
        default=256 * MIB,
        ge=MIB,
        le=1024 * GIB,
        description="How much of a table one statement scans for changes. A table up to this size is read by one "
        "sequential scan, which spares the source's cache; a larger one is split into pieces that connections share.",
    )
    connections: int = Field(
        default=2,
        ge=1,
        le=32,
        description="Connections that look for changes and share the tables, besides the one that holds the snapshot.",
    )
    full_connections: int = Field(
        default=1,
        ge=1,
        le=32,
        description="Connections of a full extraction. One reads faster than load can write, so more help only where "
        "reading is slow.",
    )
    statement_timeout: Period = Field(
        default=timedelta(hours=1),
        ge=SHORTEST_LIMIT,
        le=LONGEST_LIMIT,
        description="Time limit of a statement. It keeps a source that stops responding from holding the lock forever.",
    )
