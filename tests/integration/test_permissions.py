"""Each service's permissions beside the calls that it makes: none is missing, and none is there for nothing."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import httpx
import pytest
from aiohttp import web

from tests.faulty_aws import Exchange, Fault, FaultyAws, faulty_aws, refused
from tests.models.library import MODEL
from tests.permissions import Use, missing, pairs, table, unused, uses
from tests.pipeline import Pipeline
from tests.processes import LIBRARY, Service, environment, running
from tests.sources import execute, make_library
from tests.until import until
from totesys.errors import LakeUnavailable
from totesys.log_events import LogEvent
from totesys.triggers import ExtractTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_infra import data_plane_template
from totesys_infra.environment_file import FOLDER, read_environment
from totesys_infra.names import SERVICES, Names
from totesys_infra.names import Service as Name
from totesys_infra.permissions import Permission, permissions

NAME = "test-permissions"
ENVIRONMENT = read_environment(FOLDER / "example.toml")
NAMES = Names(NAME, ENVIRONMENT.account, ENVIRONMENT.region)
PATHS = ("/health/ready", "/runs", "/quarantine", "/verifications")


class Scenario:
    """The three services, each with a proxy of its own in front of AWS, which counts what it asks for."""

    def __init__(self, plane: LocalDataPlane, emulator: Emulator, source: str, warehouse: str) -> None:
        self.plane = plane
        self.emulator = emulator
        self.source = source
        self.warehouse = warehouse
        self.proxies: dict[Name, FaultyAws] = {}
        self.services: dict[Name, Service] = {}

    async def start(self, service: Name, stack: AsyncExitStack) -> None:
        variables = environment(
            service,
            self.proxies[service].in_front_of(self.plane),
            source_dsn=self.source,
            warehouse_dsn=self.warehouse,
            visibility="PT1S",
        )
        self.services[service] = await stack.enter_async_context(running(service, variables | LIBRARY))

    async def until(self, service: Name, operation: str, about: str) -> None:
        """Wait until a service has asked for an operation on what `about` is a part of."""
        asked = self.proxies[service].resources
        await until(lambda: any(done == operation and about in of for done, of in asked))

    async def ask(self, service: Name, path: str, **body: object) -> None:
        async with httpx.AsyncClient(base_url=self.services[service].url, timeout=30) as client:
            answer = await (client.post(path, json=body) if path == "/trigger" else client.get(path))
        assert answer.is_success, answer.text

    async def submit(self, service: Name, action: str, form: dict[str, str]) -> httpx.Response:
        """Submit a form of a service's console."""
        url = self.services[service].url
        async with httpx.AsyncClient(base_url=url, headers={"Origin": url}, timeout=30) as client:
            return await client.post(f"/console/actions/{action}", data=form)

    async def press(self, service: Name, action: str, **form: str) -> None:
        """Press a button of a service's console."""
        answer = await self.submit(service, action, form)
        assert answer.is_redirect, answer.text

    async def until_dead(self, service: Name) -> None:
        """Wait until the service has a dead letter that anyone may receive."""
        url = getattr(self.plane, f"{service}_dlq_url")
        ask = self.emulator.sqs.get_queue_attributes
        await until(lambda: int(ask(QueueUrl=url, AttributeNames=["All"])["Attributes"]["ApproximateNumberOfMessages"]))

    async def tick(self, **body: object) -> None:
        """An extraction, and all that follows from it."""
        await self.ask("ingest", "/trigger", **body)
        await self.services["load"].event(LogEvent.RUN_COMPLETED)

    def delete(self, bucket: str, prefix: str) -> None:
        for found in self.emulator.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]:
            self.emulator.s3.delete_object(Bucket=bucket, Key=found["Key"])


async def uploads(at: Scenario, patch: pytest.MonkeyPatch) -> None:
    """Ingest writes rows and keys in pieces, gives some of both up, and is not told of some that they are done."""
    proxy = at.proxies["ingest"]

    async def refuse_keys(exchange: Exchange) -> web.StreamResponse:
        refuses = "/keys/" in exchange.request.path
        return await refused("InvalidPart", 400)(exchange) if refuses else (await exchange.forward()).response()

    async def done_before(exchange: Exchange) -> web.StreamResponse:
        await exchange.forward()
        return await refused("NoSuchUpload", 404)(exchange)

    patch.setattr("totesys.lake.upload.PIECE_BYTES", 1)
    async with Pipeline(MODEL, proxy.in_front_of(at.plane), at.source, at.warehouse) as pipeline:
        for effect in (refused("InvalidPart", 400), refuse_keys):
            proxy.inject(Fault("S3 CompleteMultipartUpload", effect))
            with pytest.raises(LakeUnavailable):
                await pipeline.ingest.work(ExtractTrigger(mode="full"))
        proxy.inject(Fault("S3 CompleteMultipartUpload", done_before))
        await pipeline.ingest.work(ExtractTrigger(mode="full"))
    proxy.inject()


async def runs(at: Scenario) -> None:
    """Runs of each kind, with rows that transform and load cannot take, and one without rows."""
    await at.services["load"].event(LogEvent.RUN_COMPLETED)
    await execute(at.source, "UPDATE loan SET lent_at = 'infinity' WHERE loan_id = 1")
    await at.tick(mode="full")
    await execute(
        at.source,
        "ALTER TABLE loan DROP CONSTRAINT loan_book_id_fkey",
        "INSERT INTO loan VALUES (3, 99, 'Kim', '2026-01-07', 1, NULL)",
    )
    await at.tick(mode="sweep")
    await at.tick(mode="repair", keys={"loan": [2]})
    await at.ask("ingest", "/trigger")
    await at.until("ingest", "S3 PutObject", "/empty.json")
    await at.ask("load", "/trigger", verify=True)
    await at.until("load", "S3 PutObject", "/verifications/")


async def answers(at: Scenario) -> None:
    """All that the services show."""
    for service in SERVICES:
        for path in PATHS:
            await at.ask(service, path)
    await at.ask("load", "/trace/fact_loan/2")


async def delays(at: Scenario) -> None:
    """Work that takes longer than its message is hidden for."""
    for service in SERVICES:
        proxy = at.proxies[service]

        async def hold(exchange: Exchange, proxy: FaultyAws = proxy) -> web.StreamResponse:
            await until(lambda: proxy.seen["SQS ChangeMessageVisibility"])
            return (await exchange.forward()).response()

        proxy.inject(Fault("S3 ListObjectsV2", hold))
        await at.ask(service, "/trigger")
        await at.until(service, "SQS ChangeMessageVisibility", NAMES.queue(service))
        proxy.inject()


async def failures(at: Scenario) -> None:
    """Parts that are lost, and messages that are none."""
    first = min(committed(at))
    at.delete(at.plane.ingest_bucket, f"lending/loan/run={first:08d}/")
    await at.ask("transform", "/trigger", run=first)
    await at.until("transform", "S3 PutObject", "/transform.failed.json")
    at.delete(at.plane.processed_bucket, f"lending/fact_loan/run={first:08d}/")
    await at.ask("load", "/trigger", run=first)
    await at.until("load", "S3 PutObject", "/load.failed.json")
    for service in SERVICES:
        url = getattr(at.plane, f"{service}_queue_url")
        at.emulator.sqs.send_message(QueueUrl=url, MessageBody="no JSON")
        await at.until(service, "SQS SendMessage", NAMES.dead_letters(service))


async def buttons(at: Scenario) -> None:
    """The console of each service wakes every service, and sends back every service's dead letters."""
    run = str(max(committed(at)))
    for service in SERVICES:
        await at.ask(service, "/")
        await at.press(service, "run")
        for stage in ("transform", "load"):
            await at.press(service, "replay", stage=stage, **{"from": run}, sure="yes")
        for stage in SERVICES:
            await at.until_dead(stage)
            # It receives all of them to look for this one, and releases them.
            unknown = await at.submit(service, "discard", {"stage": stage, "sure": "chosen", "letter": "none"})
            assert "are gone" in unknown.text
            await at.press(service, "redrive", stage=stage, sure="yes")


def committed(at: Scenario) -> list[int]:
    """The runs that ingest has committed with parts."""
    found = at.emulator.s3.list_objects_v2(Bucket=at.plane.ingest_bucket, Prefix="runs/")["Contents"]
    return [int(one["Key"].split("/")[1].removeprefix("run=")) for one in found if "manifest" in one["Key"]]


@pytest.fixture(scope="module")
async def seen(postgres: ReachablePostgres, emulator: Emulator) -> AsyncIterator[dict[Name, Counter[Use]]]:
    """What each service asked AWS for in all that it can be brought to do."""
    source = await make_library(postgres.create_database("permissions_source"))
    warehouse = postgres.create_database("permissions_warehouse")
    at = Scenario(emulator.apply(data_plane_template(), NAME), emulator, source, warehouse)
    async with AsyncExitStack() as stack:
        for service in SERVICES:
            at.proxies[service] = await stack.enter_async_context(faulty_aws(at.plane.endpoint_url))
        with pytest.MonkeyPatch.context() as patch:
            await uploads(at, patch)
        for service in SERVICES:
            await at.start(service, stack)
        for part in (runs, answers, delays, failures, buttons):
            await part(at)
        for started in at.services.values():
            assert await started.stop() == 0
        yield {service: uses(NAMES, at.proxies[service].resources) for service in SERVICES}
    for name in ("permissions_source", "permissions_warehouse"):
        postgres.drop_database(name)


def given(service: Name) -> tuple[Permission, ...]:
    return permissions(service, NAMES, MODEL)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_do_what_it_does_and_nothing_else(service: Name, seen: dict[Name, Counter[Use]]) -> None:
    print(table(service, given(service), seen[service]))
    assert missing(given(service), seen[service]) == []
    assert unused(given(service), seen[service]) == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_permission_that_is_taken_away_is_missed(service: Name, seen: dict[Name, Counter[Use]]) -> None:
    every = [Permission((action,), (resource,), "") for action, resource in pairs(given(service))]
    kept = {one: [other for other in every if other != one] for one in every}
    assert [one for one, rest in kept.items() if not missing(rest, seen[service])] == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_permission_that_nothing_needs_is_found(service: Name, seen: dict[Name, Counter[Use]]) -> None:
    first, *rest = given(service)
    other = NAMES.bucket_arn("code")
    wider = [replace(first, resources=(*first.resources, other)), *rest]
    assert unused(wider, seen[service]) == [(action, other) for action in first.actions]
    deletes = Permission(("s3:PutObjectAcl",), (NAMES.bucket_arn("ingest", "*"),), "")
    assert unused([first, *rest, deletes], seen[service]) == list(pairs([deletes]))
