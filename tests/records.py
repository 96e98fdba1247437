"""Records of runs that no stage has written."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from totesys.lake.records import Manifest


def empty_manifest(run: int, **fields: Any) -> Manifest:
    """Ingest's record of a run in which nothing had changed."""
    now = datetime.now(UTC)
    common = {"lake": uuid4(), "run": run, "previous": 0, "extraction": run, "complete": True}
    times = {"snapshot_time": now, "finished_at": now, "seconds": 0, "trigger": "test"}
    baseline: dict[str, Any] = {"source": "somewhere", "xmin_before": None, "xmin_after": 1, "tables": {}}
    return Manifest.model_validate({**common, **times, **baseline, **fields})
