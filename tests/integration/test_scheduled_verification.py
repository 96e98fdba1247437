"""The system compares the warehouse with the source by itself, records what it found, and lets an alarm know."""

import json

import pytest
from pydantic import SecretStr

from tests.pipeline import Pipeline
from tests.sources import execute
from totesys.events import LoadWakeup
from totesys.logs import configure_logs

VERIFY = LoadWakeup(verify=True)


def lines(capsys: pytest.CaptureFixture[str], event: str) -> list[dict[str, object]]:
    """The log lines of an event."""
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return [line for line in logged if line["event"] == event]


async def test_a_verification_leaves_a_record_and_a_metric(
    library: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("load")
    await library.tick()
    await library.load.work(VERIFY)
    assert [line["next"] for line in lines(capsys, "not verified")] == ["set it, or turn the schedule off"]
    assert await library.lake.verifications(10) == []
    update = {"source_dsn": SecretStr(library.source_dsn)}
    library.load.settings = library.load.settings.model_copy(update=update)
    await library.load.work(VERIFY)
    (record,) = await library.lake.verifications(10)
    assert (record.equal, record.run, record.reason) == (True, 1, "")
    assert {name: table.equal for name, table in record.tables.items()} == {"fact_loan": 2, "dim_book": 3}
    (line,) = lines(capsys, "verification successful")
    assert (line["VerificationDifferences"], line["level"]) == (0, "info")


async def test_what_is_wrong_is_named_and_is_an_error(library: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    await library.tick()
    await execute(library.warehouse_dsn, "UPDATE warehouse.fact_loan SET reader = 'Eve' WHERE loan_id = 2")
    update = {"source_dsn": SecretStr(library.source_dsn)}
    library.load.settings = library.load.settings.model_copy(update=update)
    configure_logs("load")
    await library.load.work(VERIFY)
    (record,) = await library.lake.verifications(1)
    assert not record.equal
    assert [(row.key, row.verdict, row.columns) for row in record.tables["fact_loan"].wrong] == [
        ("2", "differing", ("reader",))
    ]
    (line,) = lines(capsys, "warehouse differs")
    assert (line["VerificationDifferences"], line["wrong"], line["level"]) == (1, {"fact_loan": 1}, "error")
