"""`totesys trace` and `GET /trace`: every row of the warehouse leads back to its run and its objects."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.command import Command, Ended
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.processes import LIBRARY, environment, running
from tests.sources import execute, make_library
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_infra import data_plane_template

NAME = "test-trace"
TOKEN = "open sesame"


@pytest.fixture(scope="module")
def plane(emulator: Emulator) -> LocalDataPlane:
    return emulator.apply(data_plane_template(), NAME)


@pytest.fixture(scope="module")
async def pipeline(postgres: ReachablePostgres, plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """Loan 1 changes in runs 2 and 3; in run 4 it has no date, and book 1 a new title."""
    source = await make_library(postgres.create_database("trace_source"))
    warehouse = postgres.create_database("trace_warehouse")
    async with Pipeline(MODEL, plane, source, warehouse) as opened:
        await opened.tick()
        await execute(source, "UPDATE loan SET fee = 5 WHERE loan_id = 1")
        await opened.tick()
        await execute(source, "UPDATE loan SET reader = '[red]' || chr(27)")
        await opened.tick()
        await execute(source, "UPDATE loan SET lent_at = 'infinity' WHERE loan_id = 1", "UPDATE book SET title = 'D'")
        await opened.tick()
        deletion = "INSERT INTO etl.deletion SELECT 'fact_loan', 1, lake, 4, now() FROM etl.run WHERE run = 4"
        await execute(warehouse, deletion)
        yield opened
    for name in ("trace_source", "trace_warehouse"):
        postgres.drop_database(name)


class Trace:
    """The command, for this lake and warehouse."""

    def __init__(self, totesys: Command, pipeline: Pipeline, plane: LocalDataPlane) -> None:
        self._totesys = totesys
        self._totesys.settings = LIBRARY | {"TOTESYS_WAREHOUSE_DSN": pipeline.warehouse_dsn}
        self._place = ("--name", NAME, "--endpoint", plane.endpoint_url)

    def __call__(self, *arguments: str) -> Ended:
        return self._totesys("trace", *arguments, *self._place)

    def json(self, *arguments: str) -> dict[str, Any]:
        ended = self(*arguments, "--json")
        assert ended.code == 0, ended.err
        document: dict[str, Any] = json.loads(ended.out)
        return document


@pytest.fixture
def trace(tmp_path: Path, pipeline: Pipeline, plane: LocalDataPlane) -> Trace:
    return Trace(Command(tmp_path), pipeline, plane)


async def test_a_version_of_a_fact_leads_to_its_run_and_the_objects_that_hold_it(
    trace: Trace, pipeline: Pipeline, plane: LocalDataPlane
) -> None:
    found = trace.json("fact_loan", "1")
    origins = {version["record_id"]: version["origins"] for version in found["versions"]}
    runs = {record_id: [origin["run"] for origin in several] for record_id, several in origins.items()}
    assert runs == {4: [3], 3: [2], 1: [1]}
    ((origin,), manifest) = (origins[3], await pipeline.lake.manifest(2))
    processed, loaded = await pipeline.lake.processed_manifest(2), await pipeline.lake.load_record(2)
    assert manifest is not None
    assert processed is not None
    assert loaded is not None
    expected = manifest.model_dump(mode="json") | {
        "parquet": [f"s3://{plane.processed_bucket}/lending/fact_loan/run=00000002/part-00000.parquet"],
        "csv": [f"s3://{plane.ingest_bucket}/lending/loan/run=00000002/part-00000.csv"],
        "ingested_at": manifest.model_dump(mode="json")["finished_at"],
        "transformed_at": processed.model_dump(mode="json")["finished_at"],
        "loaded_at": loaded.model_dump(mode="json")["finished_at"],
    }
    assert {name: origin[name] for name in origin if name != "applied_at"} == {
        name: expected[name] for name in origin if name != "applied_at"
    }
    assert [(row["run"], row["values"]["lent_at"]) for row in found["quarantine"]] == [(4, "infinity")]
    assert [(one["run"], one["returned_run"]) for one in found["deletions"]] == [(4, None)]
    assert [version["record_id"] for version in trace.json("fact_loan", "1", "--version", "3")["versions"]] == [3]


def test_a_row_of_a_dimension_leads_to_the_newest_runs_that_had_it(trace: Trace) -> None:
    (row,) = trace.json("dim_book", "1")["versions"]
    assert (row["values"]["title"], [origin["run"] for origin in row["origins"]]) == ("D", [4, 1])
    said = trace("fact_loan", "1")
    assert "fact_loan 1, version 4" in said.out
    assert "reader=[red]�" in said.out
    assert 'quarantine run 4: lent_at is not a valid timestamp: "infinity"' in said.out
    assert "\x1b" not in said.out


def test_what_is_nowhere_is_refused(trace: Trace) -> None:
    for arguments, words in (
        (("fact_loan", "99"), "Neither the warehouse nor the quarantine has fact_loan 99."),
        (("fact_loan", "1", "--version", "2"), "has fact_loan 1, version 2."),
        (("fact_loan", "x"), "'x' is not a valid loan_id"),
        (("fact_lend", "1"), "Choose one of fact_loan, dim_book"),
    ):
        ended = trace(*arguments)
        assert (ended.code, ended.out, words in ended.err) == (2, "", True), ended.words


async def test_load_alone_answers_where_a_row_came_from_and_only_to_who_has_the_token(
    pipeline: Pipeline, plane: LocalDataPlane, trace: Trace
) -> None:
    settings = {"warehouse_dsn": pipeline.warehouse_dsn, "trigger_token": TOKEN}
    async with (
        running("load", environment("load", plane, **settings) | LIBRARY) as service,
        httpx.AsyncClient(base_url=service.url, headers={"Authorization": f"Bearer {TOKEN}"}) as client,
    ):
        assert (await client.get("/trace/fact_loan/1")).json() == trace.json("fact_loan", "1")
        for path, status in (
            ("fact_loan/99", 404), ("fact_lend/1", 404), ("fact_loan/x", 422), ("dim_book/1?version=1", 422),
            ("fact_loan/1?version=0", 422), ("fact_loan/99999999999999999999", 422),
        ):  # fmt: skip
            answer = await client.get(f"/trace/{path}")
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path
        assert (await client.get("/trace/fact_loan/1", headers={"Authorization": "Bearer x"})).status_code == 401
