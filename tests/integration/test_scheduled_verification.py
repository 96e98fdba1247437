"""The system compares the warehouse with the source by itself, records what it found, and lets an alarm know."""

from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.pipeline import Pipeline
from tests.sources import execute
from totesys.log_events import LogEvent
from totesys.triggers import LoadTrigger

VERIFY = LoadTrigger(verify=True)


async def verified(library: Pipeline, event: str) -> dict[str, object]:
    """The log line with which a verification ends."""
    with capture_logs() as lines:
        await library.load.work(VERIFY)
    (line,) = (dict(line) for line in lines if line["event"] == event)
    return line


def let_read_the_source(library: Pipeline) -> None:
    update = {"source_dsn": SecretStr(library.source_dsn)}
    library.load.settings = library.load.settings.model_copy(update=update)


async def test_a_verification_leaves_a_record_and_a_metric(library: Pipeline) -> None:
    await library.tick()
    skipped = await verified(library, LogEvent.VERIFICATION_SKIPPED)
    assert skipped["next"] == "set it, or disable the verification schedule"
    assert await library.lake.verifications(10) == []
    let_read_the_source(library)
    line = await verified(library, LogEvent.VERIFICATION_COMPLETED)
    assert (line["VerificationDifferences"], line["log_level"]) == (0, "info")
    (record,) = await library.lake.verifications(10)
    assert (record.equal, record.run, record.reason) == (True, 1, "")
    assert {name: table.equal for name, table in record.tables.items()} == {"fact_loan": 2, "dim_book": 3}


async def test_what_is_wrong_is_named_and_is_an_error(library: Pipeline) -> None:
    await library.tick()
    await execute(library.warehouse_dsn, "UPDATE warehouse.fact_loan SET reader = 'Eve' WHERE loan_id = 2")
    let_read_the_source(library)
    line = await verified(library, LogEvent.DIFFERENCES_FOUND)
    assert (line["VerificationDifferences"], line["wrong"], line["log_level"]) == (1, {"fact_loan": 1}, "error")
    (record,) = await library.lake.verifications(1)
    assert not record.equal
    assert [(row.key, row.verdict, row.columns) for row in record.tables["fact_loan"].wrong] == [
        ("2", "differing", ("reader",))
    ]
