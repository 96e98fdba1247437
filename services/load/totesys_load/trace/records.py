"""What a trace says."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

# A row's columns as text; NULL is null.
Values = dict[str, str | None]


class Origin(BaseModel):
    """A run that brought a row: its snapshot, its times, and the objects that hold the row.

    `xmin_after` is the first transaction id that the snapshot may not have seen. `csv` are the parts that `parquet`
    was built of: the one with the row, and all of the tables that it was joined with. Both are empty where the
    objects are not there any more.
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
    """A row of the warehouse, or a version of a fact, and the runs that brought it, newest first.

    A version of a fact comes from one run. A row of a dimension is in every run that had it; of these the newest few.
    """

    record_id: int | None
    values: Values
    origins: list[Origin]


class Deletion(BaseModel):
    """When a sweep found the id no more, and when a run brought it again."""

    run: int
    deleted_at: datetime
    returned_run: int | None
    returned_at: datetime | None


class Quarantined(BaseModel):
    """A row with the id that could not become one of the warehouse: its own values, why, and where it is kept."""

    run: int
    object: str
    reasons: list[str]
    values: Values


class Trace(BaseModel):
    """All that is known of an id: its versions newest first, deletions, and rows in quarantine."""

    table: str
    id: str
    lake: UUID
    versions: list[Version]
    deletions: list[Deletion]
    quarantine: list[Quarantined]

    @property
    def empty(self) -> bool:
        return not (self.versions or self.deletions or self.quarantine)
