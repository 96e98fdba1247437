"""The scheduled verification: compares warehouse and source, records the result in the lake, and emits a metric."""

import time
from dataclasses import replace

from totesys.lake.records import VerificationRecord, VerifiedTable
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger, metrics
from totesys.schema import Model
from totesys.verify import Verification, verify
from totesys_load.load_settings import LoadSettings

log = logger("totesys.load.verification")

# The most wrong rows of a table that the record names. `totesys verify` names them all.
NAMED_ROWS = 100


async def verify_and_record(settings: LoadSettings, lake: Lake, model: Model) -> None:
    """Compare the warehouse with the source, if its DSN is set, and put the result into the lake.

    Raises what `verify` raises; the state of the warehouse is unknown then.
    """
    if settings.source_dsn is None:
        log.warning(
            LogEvent.VERIFICATION_SKIPPED,
            reason="TOTESYS_SOURCE_DSN is not set",
            next="set it, or disable the verification schedule",
        )
        return
    started = time.monotonic()
    found = await verify(
        settings.source_dsn.get_secret_value(),
        settings.warehouse_dsn.get_secret_value(),
        model,
        source_schema=settings.source_schema,
        warehouse_schema=settings.warehouse_schema,
    )
    record = _record(found, time.monotonic() - started)
    await lake.put_verification(record)
    _log(record)


def _record(found: Verification, seconds: float) -> VerificationRecord:
    return VerificationRecord(
        started_at=found.time,
        seconds=round(seconds, 3),
        run=found.baseline.run if found.baseline else None,
        snapshot_time=found.baseline.snapshot_time if found.baseline else None,
        reason=found.reason,
        equal=found.is_equal,
        tables={
            table.table: VerifiedTable.model_validate(
                replace(table, wrong=table.wrong[:NAMED_ROWS]), from_attributes=True
            )
            for table in found
        },
    )


def _log(record: VerificationRecord) -> None:
    wrong = {name: table.compared - table.equal for name, table in record.tables.items() if not table.is_equal}
    level = log.info if record.equal else log.error
    level(
        LogEvent.VERIFICATION_COMPLETED if record.equal else LogEvent.DIFFERENCES_FOUND,
        run=record.run,
        rows=sum(table.compared for table in record.tables.values()),
        wrong=wrong,
        duration_s=record.seconds,
        **metrics("load", VerificationDifferences=sum(wrong.values()), VerificationSeconds=record.seconds),
    )
