"""The settings of ingest, besides those of every service."""

from datetime import timedelta
from typing import Literal

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

    capture: Literal["scan", "log"] = Field(
        default="scan",
        description="How ingest finds changed rows. `scan` reads every incremental table by transaction id, and needs "
        "only SELECT. `log` reads the source's log, and scans wherever it cannot: docs/capture.md.",
    )
    capture_publication: str = Field(
        default="totesys", min_length=1, max_length=63, description="The publication of the source's tables, for `log`."
    )
    capture_slot: str = Field(
        default="totesys",
        pattern=r"^[a-z0-9_]{1,63}$",
        description="The replication slot that ingest creates for `log`. Each lake needs one of its own.",
    )
    slot_bytes: int = Field(
        default=10 * GIB,
        ge=16 * MIB,
        le=1024 * GIB,
        description="Ingest drops its slot when it makes the source keep more of its log than this.",
    )
    log_bytes: int = Field(
        default=GIB,
        ge=MIB,
        le=1024 * GIB,
        description="How much of the log one extraction decodes at most. With more, a scan costs less.",
    )
    log_check: Period = Field(
        default=timedelta(days=1),
        ge=SHORTEST_LIMIT,
        le=timedelta(days=30),
        description="How often a scan checks that the log missed no change.",
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
