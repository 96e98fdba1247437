"""The result of a trace."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

# A row's columns as text, or None for NULL.
Values = dict[str, str | None]


class Origin(BaseModel):
    """A run that brought a row: its snapshot, its times, and the objects that hold the row.

    `xmin_after` is the first transaction id that the snapshot may not have seen. `csv` are the parts that `parquet` was
    built from: the one with the row, and all parts of joined tables. Both are empty if the objects no longer exist.
    """

    run: int
    extraction: int
    complete: bool
    trigger: str
    source: str
    snapshot_time: datetime
    xmin_before: int | None
    xmin_after: int | None
    ingested_at: datetime
    transformed_at: datetime
    loaded_at: datetime | None
    applied_at: datetime
    parquet: list[str]
    csv: list[str]


class Version(BaseModel):
    """A version of a fact or a row of a dimension, with the runs that brought it, newest first.

    One run brings a version of a fact. A row of a dimension lists the newest few of the runs that had it.
    """

    record_id: int | None
    values: Values
    origins: list[Origin]


class Deletion(BaseModel):
    """When a deletion sweep found that the key was gone, and when a run brought it again."""

    run: int
    deleted_at: datetime
    returned_run: int | None
    returned_at: datetime | None


class QuarantineEntry(BaseModel):
    """A row with the key that could not become a warehouse row: its own values, the reasons, and its object."""

    run: int
    object: str
    reasons: list[str]
    values: Values


class Trace(BaseModel):
    """Everything known about a key: its versions, newest first, its deletions, and its rows in quarantine."""

    table: str
    id: str
    lake: UUID
    versions: list[Version]
    deletions: list[Deletion]
    quarantine: list[QuarantineEntry]

    @property
    def empty(self) -> bool:
        return not (self.versions or self.deletions or self.quarantine)
