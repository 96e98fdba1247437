"""Looks at a source: where it stands, and then a snapshot of it, in the order that leaves nothing unseen."""

from collections.abc import Sequence

from totesys.connection import redacted
from totesys.errors import DatabaseUnavailable
from totesys.lake.records import Manifest
from totesys.table import SourceTable
from totesys_ingest import history
from totesys_ingest.contract import Comparison
from totesys_ingest.source import WHAT, Source
from totesys_ingest.start import Sight, Standing, behind


async def look(source: Source, tables: Sequence[SourceTable], last: Manifest | None) -> tuple[Sight | None, Comparison]:
    """A snapshot of the source and all that is known of it; none where the tables cannot be locked.

    Raises DatabaseUnavailable if the source is a standby that shows less than the last run has seen.
    """
    connection = source.connection
    standing = await read_standing(source, last)
    goes_on = last is not None and standing.place.breaks_with(last.source, last.position) is None
    # Before the snapshot: what ends in between is seen, and counts as unseen.
    mark = await history.read_mark(connection, standing, last.next_start if last and goes_on else None)
    open_transaction = await history.read_open_transaction(
        connection, standing, last.open_transaction if last else None
    )
    snapshot, comparison = await source.begin(tables)
    sight = None if snapshot is None else Sight(standing, mark, snapshot, open_transaction)
    return sight, comparison


async def read_standing(source: Source, last: Manifest | None) -> Standing:
    """Where the source stands. Raises DatabaseUnavailable as `look` does."""
    standing = await history.read_standing(
        source.connection, last.position.outcomes if last and last.position else None
    )
    if reason := behind(last, standing):
        raise DatabaseUnavailable(
            f"{WHAT} at {redacted(source.dsn)} is a standby that shows less than the warehouse does: {reason}. "
            "Extraction waits until it has caught up. See whether its replication runs: docs/replicas.md."
        )
    return standing
