"""The three services as processes: what they answer, and what they do with the messages that they get."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.processes import LONGEST_WAIT
from tests.sources import execute, make_company, value, verified
from totesys.log_events import LogEvent
from totesys.model import MODEL
from totesys.sql import ident, qualified
from totesys.stage_names import STAGES
from totesys.table import Fact
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_cli.service_processes import Services, run_services
from totesys_infra import data_plane_template

TOKEN = "open sesame"
AUTHORISED = {"Authorization": f"Bearer {TOKEN}"}


class Company:
    """The three services over a generated company, whose first run is in the warehouse."""

    def __init__(
        self, services: Services, plane: LocalDataPlane, emulator: Emulator, source: str, warehouse: str
    ) -> None:
        self.services = services
        self.plane = plane
        self.emulator = emulator
        self.source = source
        self.warehouse = warehouse

    async def event(self, service: str, name: str, **fields: object) -> dict[str, Any]:
        """Wait for the next log line of a service that has this name and these fields."""
        async with asyncio.timeout(LONGEST_WAIT):
            while event := await self.services.events.get():
                if (event.service, event.name) == (service, name) and fields.items() <= event.fields.items():
                    return dict(event.fields)
        raise AssertionError

    async def request(self, method: str, stage: str, path: str, **arguments: Any) -> httpx.Response:
        """Ask a service, with the token."""
        async with httpx.AsyncClient(base_url=self.services.addresses[stage], headers=AUTHORISED) as client:
            return await client.request(method, path, **arguments)

    async def trigger(self, stage: str, **ask: object) -> None:
        """Trigger a stage, and wait until it has done what was asked."""
        answer = await self.request("POST", stage, "/trigger", json=ask)
        assert answer.status_code == 202, answer.text
        await self.done(stage, answer.json()["message_id"])

    async def send(self, stage: str, body: str) -> None:
        """Queue a message, and wait until the stage has done with it."""
        queue = getattr(self.plane, f"{stage}_queue_url")
        message = self.emulator.sqs.send_message(QueueUrl=queue, MessageBody=body)
        await self.done(stage, message["MessageId"])

    async def done(self, stage: str, message_id: str) -> None:
        """Wait until a stage has done with a message, which must not fail."""
        async with asyncio.timeout(LONGEST_WAIT):
            while event := await self.services.events.get():
                if event.service == stage and event.fields.get("message_id") == message_id:
                    assert event.fields.get("level") != "error", event
                    if event.name == LogEvent.MESSAGE_PROCESSED:
                        return

    async def dump(self) -> dict[str, list[str]]:
        """Every row of the warehouse and of the ledger's tables, with record ids, as text."""
        orders = {table.name: table.record_id if isinstance(table, Fact) else table.only_key for table in MODEL.tables}
        queries = {
            name: f"SELECT array_agg(t::text ORDER BY {ident(order)}) FROM {qualified('warehouse', name)} t"
            for name, order in orders.items()
        }
        queries["run"] = "SELECT array_agg((lake, run, snapshot_time, rows_written)::text ORDER BY run) FROM etl.run"
        return {name: await value(self.warehouse, query) for name, query in queries.items()}


@pytest.fixture(scope="module")
async def company(postgres: ReachablePostgres, emulator: Emulator) -> AsyncIterator[Company]:
    plane = emulator.apply(data_plane_template(), "test-services")
    source = await make_company(postgres.create_database("services_source"))
    warehouse = postgres.create_database("services_warehouse")
    settings = {
        "TOTESYS_SOURCE_DSN": source,
        "TOTESYS_WAREHOUSE_DSN": warehouse,
        "TOTESYS_TRIGGER_TOKEN": TOKEN,
    }
    async with run_services(plane, settings, dict.fromkeys(STAGES, 0), None) as services:
        company = Company(services, plane, emulator, source, warehouse)
        await company.trigger("ingest")
        await company.event("load", LogEvent.RUN_COMPLETED)
        yield company
    for name in ("services_source", "services_warehouse"):
        postgres.drop_database(name)


def problem_in(problem: httpx.Response) -> dict[str, Any]:
    assert problem.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = problem.json()
    assert body["status"] == problem.status_code
    return body


@pytest.mark.parametrize(("stage", "database"), [("ingest", ["source"]), ("transform", []), ("load", ["warehouse"])])
async def test_a_service_whose_dependencies_answer_is_healthy_and_ready(
    company: Company, stage: str, database: list[str]
) -> None:
    healthy = await company.request("GET", stage, "/health")
    assert (healthy.status_code, healthy.json()) == (200, {"service": stage, "status": "ok"})
    ready = await company.request("GET", stage, "/health/ready")
    dependencies = dict.fromkeys(["queue", "lake", *database], "ok")
    assert (ready.status_code, ready.json()) == (200, healthy.json() | {"dependencies": dependencies})


async def test_the_first_run_brings_the_whole_source_to_the_warehouse(company: Company) -> None:
    assert await verified(company.source, company.warehouse, MODEL)


async def test_runs_are_shown_with_each_stage_and_table(company: Company) -> None:
    newest = (await company.request("GET", "load", "/runs")).json()[-1]
    assert newest["run"] == 1
    assert {name: stage["state"] for name, stage in newest["stages"].items()} == dict.fromkeys(STAGES, "done")
    detail = (await company.request("GET", "ingest", "/runs/1")).json()
    assert set(detail["extracted"]) == {table.name for table in MODEL.sources}
    assert set(detail["loaded"]) == {table.name for table in MODEL.tables}
    assert detail["freshness"] > 0


async def test_a_run_that_does_not_exist_is_a_404_problem(company: Company) -> None:
    problem = problem_in(await company.request("GET", "transform", "/runs/4711"))
    assert (problem["status"], problem["detail"]) == (404, "Ingest has committed no run 4711.")
    assert problem_in(await company.request("GET", "transform", "/nothing"))["status"] == 404


@pytest.mark.parametrize("path", ["/runs/0", "/runs/100000000", "/runs/x", "/runs?limit=0", "/runs?before=0"])
async def test_a_run_number_or_limit_that_cannot_be_is_a_422_problem(company: Company, path: str) -> None:
    assert problem_in(await company.request("GET", "transform", path))["status"] == 422


async def test_the_api_is_documented(company: Company) -> None:
    page = (await company.request("GET", "load", "/docs")).text
    scripts = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(scripts) > 2
    assert "<script>" not in page
    for script in scripts:
        assert (await company.request("GET", "load", script)).status_code == 200
    document = (await company.request("GET", "load", "/openapi.json")).json()
    assert set(document["paths"]) == {
        *("/health", "/health/ready", "/trigger", "/runs", "/runs/{run}", "/quarantine", "/verifications"),
        *("/trace/{table}/{id}", "/metrics"),
    }


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer guess"}, {"Authorization": "Basic b3Blbg=="}])
async def test_a_trigger_without_the_token_is_refused(company: Company, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=company.services.addresses["ingest"]) as client:
        answer = await client.post("/trigger", headers=headers)
    assert problem_in(answer)["status"] == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("stage", "ask"),
    [
        ("ingest", {"mode": "everything"}),
        ("ingest", {"run": 1}),
        ("transform", {"run": 0}),
        ("transform", {"run": 1, "from_run": 1, "to_run": 2}),
        ("load", {"from_run": 2}),
        ("load", {"from_run": 2, "to_run": 1}),
        ("load", []),
    ],
)
async def test_a_trigger_that_says_nothing_possible_is_a_422_problem(company: Company, stage: str, ask: object) -> None:
    assert problem_in(await company.request("POST", stage, "/trigger", json=ask))["status"] == 422


@pytest.mark.parametrize("stage", STAGES)
async def test_rubbish_goes_to_the_dead_letter_queue_with_its_reason(company: Company, stage: str) -> None:
    queues = {name: getattr(company.plane, f"{stage}_{name}_url") for name in ("queue", "dlq")}
    company.emulator.sqs.send_message(QueueUrl=queues["queue"], MessageBody="rubbish")
    await company.event(stage, LogEvent.MESSAGE_FAILED, next="dead-letter queue")
    (dead,) = company.emulator.sqs.receive_message(
        QueueUrl=queues["dlq"], WaitTimeSeconds=20, MessageAttributeNames=["All"]
    )["Messages"]
    assert dead["Body"] == "rubbish"
    assert "BadMessage: The message is neither" in dead["MessageAttributes"]["reason"]["StringValue"]


@pytest.mark.parametrize("stage", ["transform", "load"])
async def test_a_doubled_event_changes_nothing_and_a_test_event_is_dropped(company: Company, stage: str) -> None:
    before = await company.dump()
    for body in ('{"Records": []}', '{"Records": []}', '{"Event": "s3:TestEvent"}'):
        await company.send(stage, body)
    assert await company.dump() == before


async def test_replayed_runs_leave_the_warehouse_as_it_was(company: Company) -> None:
    for change in (
        "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id <= 5",
        "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id <= 3",
    ):
        await execute(company.source, change)
        await company.trigger("ingest")
        await company.event("load", LogEvent.RUN_COMPLETED)
    await company.trigger("ingest", mode="full")
    newest = (await company.event("load", LogEvent.RUN_COMPLETED))["run"]
    before = await company.dump()
    for stage in ("transform", "load"):
        for run in (1, newest - 1, newest):
            await company.trigger(stage, run=run)
        await company.trigger(stage, from_run=1, to_run=newest)
        assert await company.dump() == before
    assert await verified(company.source, company.warehouse, MODEL)


async def test_replaying_a_run_that_was_never_loaded_ends_in_the_dead_letter_queue(company: Company) -> None:
    for stage in ("transform", "load"):
        await company.request("POST", stage, "/trigger", json={"run": 4711})
        failed = await company.event(stage, LogEvent.MESSAGE_FAILED, next="dead-letter queue")
        assert "4711" in failed["error"]
