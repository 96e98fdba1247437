"""What ingest can be told besides what every service can."""

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
        description="How large a part becomes. Transform and load hold one in memory at once: several times its bytes, "
        "in a task of 512 MB.",
    )
    run_bytes: int = Field(
        default=64 * MIB,
        ge=MIB,
        le=1024 * GIB,
        description="How large a run becomes, which is what becomes visible at once. Transform and load work on one "
        "while ingest writes the next.",
    )
    scan_bytes: int = Field(
        default=256 * MIB,
        ge=MIB,
        le=1024 * GIB,
        description="What one statement looks through for changes: a table up to this size is scanned in the way that "
        "spares the source's cache, a larger one in pieces that several connections share.",
    )
    connections: int = Field(
        default=2,
        ge=1,
        le=32,
        description="Connections that look for changes, beside the one that holds the snapshot: they share the tables "
        "between them.",
    )
    full_connections: int = Field(
        default=1,
        ge=1,
        le=32,
        description="Connections of an extraction of everything. One reads faster than load can write, so more help "
        "where reading is slow, and elsewhere only make the others wait.",
    )
    statement_timeout: Period = Field(
        default=timedelta(hours=1),
        ge=SHORTEST_LIMIT,
        le=LONGEST_LIMIT,
        description="How long a statement may take. A source that has stopped in the middle of one must not hold the "
        "lock for ever.",
    )
