"""Which runs are committed together. Pure."""

from totesys.lake.records import ProcessedManifest

# So that the ledger's commit, and what is done again after a failure, stay small.
MOST_RUNS = 200


def size_bytes(manifest: ProcessedManifest) -> int:
    """The Parquet of a run."""
    return sum(table.bytes for table in manifest.tables.values())


def is_full(batch: list[ProcessedManifest], following: ProcessedManifest, most_bytes: int) -> bool:
    """Whether the following run belongs to the next batch.

    A run that deletes keys ends its batch: rows that come again later must find the deletion recorded.
    """
    if not batch:
        return False
    size = sum(map(size_bytes, batch)) + size_bytes(following)
    return bool(batch[-1].keys or batch[-1].left_out) or len(batch) >= MOST_RUNS or size > most_bytes
