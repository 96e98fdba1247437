"""The console during an outage: it shows what it can, and says what is unknown and why."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from playwright.async_api import expect

from tests.browser.conftest import OBSERVER, Look
from tests.browser.day import Day, verification
from tests.faulty_aws import Fault, faulty_aws, reset, silent
from tests.processes import LIBRARY, environment, running
from tests.proxy import in_front_of
from tests.sources import execute
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane

# It is the client's own tries that take long.
PATIENT = 30_000
NO_ANSWER = re.compile("does not answer within|cannot be reached")


async def test_a_queue_that_cannot_be_reached_leaves_runs_and_freshness(
    lake: Lake, data_plane: LocalDataPlane, emulator: Emulator, look: Look
) -> None:
    day = Day(datetime.now(UTC), runs=12)
    await day.write(lake)
    await lake.put_verification(verification(day.now, 12, wrong=()))
    async with (
        faulty_aws(emulator.endpoint_url) as aws,
        running(OBSERVER, environment(OBSERVER, aws.in_front_of(data_plane))) as service,
        look() as visit,
    ):
        for effect in (silent, reset):
            aws.inject(Fault("SQS *", effect))
            await visit.open(f"{service.url}/?show=all")
            wrong = visit.page.locator("#attention")
            await expect(wrong).to_contain_text("The queues of ingest, transform and load cannot be read")
            await expect(wrong).to_contain_text(NO_ANSWER)
            await expect(wrong).to_contain_text("The messages and dead letters there are unknown.")
            await expect(visit.page.locator("#stages")).to_contain_text("Its queues are unknown.")
            assert "within the 30 minutes promised" in await visit.text("#freshness")
            assert await visit.page.locator("#runs tbody tr").count() == 12
            assert "All 50,980 rows equal the source" in await visit.text("#verified")
            assert await visit.violations() == ""
        await visit.picture("console-outage")
        await visit.page.get_by_role("button", name="Run now").click()
        await expect(visit.page.get_by_role("alert")).to_contain_text(NO_ANSWER, timeout=PATIENT)
        await visit.open(service.url)
        aws.inject()
        # The page that is open brings it by itself.
        await expect(wrong).to_be_hidden(timeout=PATIENT)
        await expect(visit.page.locator("#stages dd")).to_have_count(9)


async def test_a_queue_that_this_service_cannot_read_needs_no_attention(
    lake: Lake, data_plane: LocalDataPlane, emulator: Emulator, look: Look
) -> None:
    await Day(datetime.now(UTC), runs=3).write(lake)
    emulator.sqs.delete_queue(QueueUrl=data_plane.load_queue_url)
    async with running(OBSERVER, environment(OBSERVER, data_plane)) as service, look() as visit:
        await visit.open(service.url)
        await expect(visit.page.locator("#attention")).to_be_hidden()
        shown = visit.page.locator("#stages li", has_text="Load")
        await expect(shown).to_contain_text("Its queues are unknown.")
        await expect(shown).to_contain_text("does not exist")
        await expect(visit.page.locator("#stages dd")).to_have_count(6)


async def test_a_lake_that_cannot_be_read_leaves_queues_dead_letters_and_buttons(
    lake: Lake, data_plane: LocalDataPlane, emulator: Emulator, look: Look
) -> None:
    await Day(datetime.now(UTC), runs=3).write(lake)
    emulator.sqs.send_message(QueueUrl=data_plane.load_dlq_url, MessageBody='{"run":3}')
    async with (
        faulty_aws(emulator.endpoint_url) as aws,
        running(OBSERVER, environment(OBSERVER, aws.in_front_of(data_plane))) as service,
        look() as visit,
    ):
        for effect in (silent, reset):
            aws.inject(Fault("S3 *", effect))
            await visit.open(service.url)
            wrong = visit.page.locator("#attention")
            await expect(wrong).to_contain_text("The lake cannot be read")
            await expect(wrong).to_contain_text(NO_ANSWER)
            await expect(wrong).to_contain_text("1 dead letter of load")
            assert "Unknown: the lake cannot be read." in await visit.text("#freshness")
            for section in ("#runs", "#quarantine", "#verified"):
                assert "Unknown: " in await visit.text(section)
            assert (await visit.page.title()).startswith("(!) unknown")
            assert await visit.violations() == ""
        await visit.page.get_by_role("button", name="Run now").click()
        await expect(visit.page.get_by_role("status").first).to_contain_text("A run is queued", timeout=PATIENT)
        (asked,) = emulator.sqs.receive_message(QueueUrl=data_plane.ingest_queue_url, WaitTimeSeconds=5)["Messages"]
        assert '"changes"' in asked["Body"]
        await visit.open(f"{service.url}/console/runs/3", status=503)
        await expect(visit.page.locator("main")).to_contain_text(NO_ANSWER)
        await visit.open(service.url)
        aws.inject()
        await expect(visit.page.locator("#freshness")).to_contain_text(
            "within the 30 minutes promised", timeout=PATIENT
        )
        await expect(wrong).not_to_contain_text("The lake")


async def test_a_verification_that_cannot_be_read_hides_nothing_else(
    lake: Lake, data_plane: LocalDataPlane, look: Look
) -> None:
    await Day(datetime.now(UTC), runs=3).write(lake)
    await lake.processed.put("verifications/20261125T093000Z.json", b"{")
    async with running(OBSERVER, environment(OBSERVER, data_plane)) as service, look() as visit:
        await visit.open(service.url)
        assert "The last verification cannot be read" in await visit.text("#attention")
        assert "verifications/20261125T093000Z.json" in await visit.text("#attention")
        assert "within the 30 minutes promised" in await visit.text("#freshness")


async def test_load_shows_that_it_waits_for_the_warehouse_and_when_it_continues(
    data_plane: LocalDataPlane, database: Callable[[], str], look: Look
) -> None:
    async with in_front_of(database()) as warehouse:
        warehouse.silent.set()
        settings = environment("load", data_plane, warehouse_dsn=warehouse.address())
        async with running("load", settings | LIBRARY) as service, look() as visit:
            await service.event(LogEvent.DEPENDENCIES_UNAVAILABLE)
            await visit.open(service.url)
            assert "waits for the warehouse" in await visit.text("#stages .blocked")
            wrong = visit.page.locator("#attention")
            await expect(wrong).to_contain_text("Load waits for the warehouse")
            await expect(wrong).to_contain_text("The warehouse does not answer within 5 s.")
            await expect(wrong).to_contain_text("continues by itself")
            assert await visit.violations() == ""
            warehouse.silent.clear()
            await expect(wrong).to_be_hidden(timeout=PATIENT)
            await expect(visit.page.locator("#stages .blocked")).to_have_count(0)


async def test_a_warehouse_that_is_down_is_named_although_nothing_waits_for_it(
    lake: Lake, data_plane: LocalDataPlane, database: Callable[[], str], look: Look
) -> None:
    async with in_front_of(database()) as warehouse:
        settings = environment("load", data_plane, warehouse_dsn=warehouse.address())
        async with running("load", settings | LIBRARY) as service, look() as visit:
            await visit.open(service.url)
            await expect(visit.page.locator("#attention")).to_be_hidden()
            warehouse.silent.set()
            attention = visit.page.locator("#attention")
            await expect(attention).to_contain_text("The warehouse is unavailable", timeout=PATIENT)
            await expect(attention).to_contain_text("The warehouse does not answer within 5 s.")
            assert "the warehouse is unavailable" in await visit.text("#stages .blocked")
            warehouse.silent.clear()
            await expect(attention).to_be_hidden(timeout=PATIENT)


async def test_load_shows_why_it_does_not_start(
    lake: Lake, data_plane: LocalDataPlane, database: Callable[[], str], look: Look
) -> None:
    dsn = database()
    await execute(dsn, "CREATE SCHEMA warehouse", "CREATE TABLE warehouse.fact_loan (of_somebody_else integer)")
    await Day(datetime.now(UTC) - timedelta(minutes=50), runs=12, pending=2).write(lake)
    settings = environment("load", data_plane, warehouse_dsn=dsn)
    async with running("load", settings | LIBRARY) as service, look() as visit:
        await service.event(LogEvent.RECONCILIATION_FAILED)
        await visit.open(service.url)
        wrong = visit.page.locator("#attention")
        await expect(wrong).to_contain_text("Load has not started run 11", timeout=PATIENT)
        await expect(wrong).to_contain_text(re.compile("Its last work failed: .*fact_loan"))
        await expect(wrong).to_contain_text("See its log.")
        assert await visit.violations() == ""


async def test_the_page_of_a_stopped_service_says_how_old_it_is(
    lake: Lake, data_plane: LocalDataPlane, look: Look
) -> None:
    await Day(datetime.now(UTC) - timedelta(minutes=1), runs=3).write(lake)
    async with running(OBSERVER, environment(OBSERVER, data_plane)) as service, look() as visit:
        await visit.open(service.url)
        old = visit.page.get_by_text("The service does not answer. This page shows the state")
        await expect(old).to_be_hidden()
        await service.stop()
        await expect(old).to_be_visible(timeout=PATIENT)
        assert await visit.violations() == ""
        # The browser itself complains of what it cannot reach.
        assert {"ERR_CONNECTION_REFUSED" in said for said in visit.complaints} <= {True}
        visit.complaints.clear()
