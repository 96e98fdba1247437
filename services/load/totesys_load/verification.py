"""The verification that the system does of itself: compares, records in the lake, and lets an alarm know."""

import time

from totesys.lake.records import VerificationRecord, VerifiedTable, WrongRow
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger, metrics
from totesys.schema import Model
from totesys.verify import Verification, verify
from totesys_load.settings import LoadSettings

log = logger("totesys.load.verification")

# How many wrong rows of a table the record names: the command `verify` names them all.
NAMED = 100


async def verify_and_record(settings: LoadSettings, lake: Lake, model: Model) -> None:
    """Compare the warehouse with the source, if there is a DSN of it, and put the result into the lake.

    Raises what `verify` raises: then nothing is known of the warehouse.
    """
    if settings.source_dsn is None:
        log.warning(
            LogEvent.VERIFICATION_SKIPPED,
            reason="TOTESYS_SOURCE_DSN is not set",
            next="set it, or turn the schedule off",
        )
        return
    begun = time.monotonic()
    found = await verify(
        settings.source_dsn.get_secret_value(),
        settings.warehouse_dsn.get_secret_value(),
        model,
        source_schema=settings.source_schema,
        warehouse_schema=settings.warehouse_schema,
    )
    record = _record(found, time.monotonic() - begun)
    await lake.put_verification(record)
    _tell(record)


def _record(found: Verification, seconds: float) -> VerificationRecord:
    return VerificationRecord(
        started_at=found.time,
        seconds=round(seconds, 3),
        run=found.baseline.run if found.baseline else None,
        snapshot_time=found.baseline.snapshot_time if found.baseline else None,
        reason=found.reason,
        equal=found.is_equal,
        tables={
            table.table: VerifiedTable(
                compared=table.compared,
                equal=table.equal,
                differing=table.differing,
                missing=table.missing,
                extra=table.extra,
                quarantined=table.quarantined,
                changed_since=table.changed_since,
                deleted_since=table.deleted_since,
                wrong=tuple(
                    WrongRow(key=row.key, verdict=str(row.verdict), columns=row.columns) for row in table.wrong[:NAMED]
                ),
            )
            for table in found
        },
    )


def _tell(record: VerificationRecord) -> None:
    wrong = {name: table.compared - table.equal for name, table in record.tables.items() if not table.is_equal}
    say = log.info if record.equal else log.error
    say(
        LogEvent.VERIFICATION_COMPLETED if record.equal else LogEvent.DIFFERENCES_FOUND,
        run=record.run,
        rows=sum(table.compared for table in record.tables.values()),
        wrong=wrong,
        duration_s=record.seconds,
        **metrics(
            {"stage": "load"},
            VerificationDifferences=(sum(wrong.values()), "Count"),
            VerificationSeconds=(record.seconds, "Seconds"),
        ),
    )
