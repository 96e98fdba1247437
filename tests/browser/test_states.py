"""The console in every state of the pipeline: complete, accessible and up to date by itself."""

import json
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.browser import PHONE, SCREEN
from tests.browser.conftest import Look, Observe
from tests.browser.day import Day, failure, put_failure, verification
from totesys.lake.store import Lake
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane

HOSTILE = '"><script>document.title="owned"</script><img src=x onerror=alert(1)>{{7*7}}'


async def test_an_empty_system_says_so_and_offers_the_first_run(observe: Observe, look: Look) -> None:
    async with look() as visit:
        await visit.open(await observe())
        assert "The warehouse is empty." in await visit.text("#freshness")
        assert "No run yet." in await visit.text("#runs")
        await expect(visit.page.get_by_role("button", name="Run now")).to_be_visible()
        assert await visit.violations() == ""
        await visit.picture("console-empty")


async def test_a_day_of_runs_is_shown_in_light_in_dark_and_on_a_phone(
    lake: Lake, observe: Observe, look: Look, data_plane: LocalDataPlane, emulator: Emulator
) -> None:
    day = Day(datetime.now(UTC), runs=290, pending=1, late={190: 34, 250: 12})
    await day.write(lake)
    await lake.put_verification(verification(day.now - timedelta(hours=3), 250, wrong=()))
    # A message that somebody has in hand: load is at work.
    emulator.sqs.purge_queue(QueueUrl=data_plane.load_queue_url)
    emulator.sqs.send_message(QueueUrl=data_plane.load_queue_url, MessageBody="{}")
    emulator.sqs.receive_message(QueueUrl=data_plane.load_queue_url, VisibilityTimeout=600)
    url = await observe()
    for name, scheme, size in (("light", "light", SCREEN), ("dark", "dark", SCREEN), ("phone", "light", PHONE)):
        async with look(scheme=scheme, size=size) as visit:
            await visit.open(url)
            assert "within the 30 minutes promised" in await visit.text("#freshness")
            # What a look does not get to, the next one does.
            since = f"over the promise for 9 min 1 s since {day.now - timedelta(days=1):%Y-%m-%d}"
            await expect(visit.page.locator("figcaption")).to_contain_text(since, timeout=30_000)
            assert "at run 290" in await visit.text("#stages")
            assert "0 of " in await visit.text(".progress")
            assert "working" in await visit.text("#runs tbody tr:first-child")
            assert await visit.page.locator("#runs tbody tr").count() == 20
            assert "All 50,980 rows equal the source" in await visit.text("#verified")
            assert await visit.overflow() <= 0
            assert await visit.violations() == ""
            await visit.picture(f"console-{name}")
    async with look() as visit:
        await visit.open(url)
        await visit.page.locator("#runs").get_by_role("link", name="Run 290").click()
        assert "purchase_order" in await visit.text("#ingest-title >> xpath=..")
        assert await visit.violations() == ""
        await visit.picture("console-run")
        await visit.page.get_by_role("link", name="Log lines").click()
        assert "totesys run --log FILE" in await visit.text("main")
        assert await visit.violations() == ""


async def test_runs_are_found_by_outcome_and_date_and_charts_cover_an_hour_or_a_week(
    lake: Lake, observe: Observe, look: Look
) -> None:
    midnight = datetime.combine(datetime.now(UTC).date(), time(), UTC)
    await Day(midnight + timedelta(minutes=30), runs=40).write(lake)
    url = await observe()
    async with look() as visit:
        await visit.open(url)
        shown = await visit.page.locator("#runs tbody th").all_inner_texts()
        await visit.page.get_by_role("link", name="Earlier runs").click()
        earlier = await visit.page.locator("#runs tbody th").all_inner_texts()
        assert len(shown) == 20
        assert int(earlier[0]) < int(shown[-1])
        assert "no changes" not in await visit.text("#runs")
        await visit.page.get_by_role("link", name="Newest").click()
        await visit.page.get_by_role("link", name="All", exact=True).click()
        assert "no changes" in await visit.text("#runs")
        assert await visit.page.locator("#runs tbody th").all_inner_texts() == [str(run) for run in range(40, 20, -1)]
        await visit.page.get_by_role("link", name="Failed").click()
        assert "No such run" in await visit.text("#runs")
        yesterday = (midnight - timedelta(days=1)).date().isoformat()
        await visit.open(url)
        await visit.page.get_by_label("of", exact=True).fill(yesterday)
        await visit.page.locator("#runs").get_by_role("button", name="Go").first.click()
        assert f"The newest runs with changes of {yesterday}" in await visit.text("#runs caption")
        moments = [str(await one.get_attribute("datetime")) for one in await visit.page.locator("#runs time").all()]
        assert {moment[:10] for moment in moments} == {yesterday}
        assert await visit.violations() == ""
        await visit.page.get_by_role("link", name="All dates").click()
        for window, label in (("7 days", "7 days ago"), ("24 hours", "24 h ago")):
            await visit.page.get_by_role("link", name=window, exact=True).click()
            assert label in await visit.text(".hours")
            assert "fact_purchase_order" in await visit.text("#tables")
            assert await visit.violations() == ""
        await visit.page.get_by_role("link", name="1 hour", exact=True).click()
        assert "window=1h" in visit.page.url


async def test_a_run_that_failed_says_where_and_why(lake: Lake, observe: Observe, look: Look) -> None:
    await Day(datetime.now(UTC) - timedelta(minutes=50), runs=12, pending=2).write(lake)
    why = "s3://totesys-processed/sales/fact_sales_order/run=00000011/part-00000.parquet is missing. Restore it."
    await put_failure(lake, failure(11, "load", why))
    url = await observe()
    async with look() as visit:
        await visit.open(url)
        assert "over the 30 minutes promised" in await visit.text("#freshness")
        assert "stopped at run 11" in await visit.text("#stages .failed")
        assert why in await visit.text("#runs .why")
        # What has failed, why, and what happens next stand before everything else.
        first = await visit.text("main section")
        assert "Load failed on run 11" in first
        assert why in first
        assert "load retries with each message, and every few minutes without one" in first
        assert (await visit.page.title()).startswith("(!) 1 h")
        assert await visit.violations() == ""
        await visit.picture("console-failed")
        await visit.page.get_by_role("link", name="Failed").click()
        assert await visit.page.locator("#runs tbody th").all_inner_texts() == ["11"]
        await visit.page.get_by_role("link", name="Run 11, table by table").click()
        assert "No later run is loaded until then." in await visit.text("main")
        assert await visit.violations() == ""
    for scheme, size in (("dark", SCREEN), ("dark", PHONE), ("light", PHONE)):
        async with look(scheme=scheme, size=size) as visit:
            for path, status in (("/", 200), ("/console/runs/11", 200), ("/console/runs/999", 404)):
                await visit.open(url + path, status)
                assert await visit.overflow() <= 0
                assert await visit.violations() == ""


async def test_a_run_that_nobody_starts_is_reported(lake: Lake, observe: Observe, look: Look) -> None:
    day = Day(datetime.now(UTC) - timedelta(minutes=50), runs=12, pending=2)
    await day.write(lake)
    url = await observe()
    async with look() as visit:
        await visit.open(url)
        assert "Load has not started run 11" in await visit.text("#attention")
        assert "has waited for 5" in await visit.text("#stages")
        assert await visit.violations() == ""
        day.pending = 0
        await day.write(lake)
        # The page that is open brings it by itself: all is loaded, and all the same too old.
        await expect(visit.page.locator("#attention")).to_contain_text(
            "Ingest has committed no run since", timeout=30_000
        )
        assert "Load has not" not in await visit.text("#attention")


async def test_a_refused_source_is_named_with_its_reason_and_quarantined_rows_with_theirs(
    lake: Lake, observe: Observe, look: Look, data_plane: LocalDataPlane, emulator: Emulator
) -> None:
    await Day(datetime.now(UTC) - timedelta(minutes=9), runs=3, quarantined=(3,)).write(lake)
    reason = "SchemaDrift: The source is not what the model declares: column staff.email_address is missing."
    for _ in range(3):
        emulator.sqs.send_message(
            QueueUrl=data_plane.ingest_dlq_url,
            MessageBody="{}",
            MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
        )
    async with look() as visit:
        await visit.open(await observe())
        first, second = await visit.page.locator("#attention li").all_inner_texts()
        assert "Ingest failed 3 times since" in first
        assert reason in first
        assert "2 rows of fact_sales_order in quarantine" in second
        assert "2 × agreed_payment_date is not a valid date" in second
        assert "2 × agreed_payment_date is not a valid date" in await visit.text("#quarantine")
        assert "no newer data is arriving" in await visit.text("#freshness.risk")
        assert "the last extraction failed" in await visit.text("#stages .failed")
        assert await visit.violations() == ""
        await visit.picture("console-attention")
        await visit.page.locator("#attention").get_by_role("link", name="Rows of run 3").click()
        assert "totesys quarantine show fact_sales_order --run 3 --name test-" in await visit.text("#rows")
        assert "2 × agreed_payment_date is not a valid date" in await visit.text()
        assert await visit.violations() == ""
        # What is only shown stays visible to others.
        letters = emulator.sqs.receive_message(QueueUrl=data_plane.ingest_dlq_url, MaxNumberOfMessages=10)["Messages"]
        assert len(letters) == 3


async def test_a_wrong_address_is_a_page(observe: Observe, look: Look) -> None:
    url = await observe()
    async with look() as visit:
        for path, status in (
            ("/?before=abc", 422),
            ("/?before=0", 422),
            ("/?on=soon", 422),
            ("/?show=nothing", 422),
            ("/console/runs/abc", 422),
            ("/console/runs/1", 404),
            ("/console/actions/dance", 404),
            ("/console/nothing", 404),
        ):
            await visit.open(url + path, status)
            assert "Back to the pipeline" in await visit.text("main"), path
            assert await visit.violations() == ""


async def test_dead_letters_are_shown_with_their_reason_and_can_be_redriven(
    observe: Observe, look: Look, lake: Lake
) -> None:
    await Day(datetime.now(UTC), runs=3).write(lake)
    url = await observe()
    async with httpx.AsyncClient() as client, look() as visit:
        await visit.open(url)
        await client.post(f"{url}/trigger", json={"run": 4711})
        # The page that is open brings it by itself.
        await expect(visit.page.locator("#stages .bad dd")).to_have_text("1", timeout=30_000)
        await expect(visit.page.locator("#news")).to_contain_text("1 dead letter of transform.")
        assert await visit.violations() == ""
        await visit.page.get_by_role("button", name="Redrive transform").click()
        assert "BadMessage: There is no run 4711 for transform to replay." in await visit.text("table")
        assert '{"run":4711}' in await visit.text("table")
        assert await visit.violations() == ""
        await visit.picture("console-dead-letters", height=500)
        # Who looks has it for a second.
        await expect(visit.page.get_by_role("button", name="Redrive all")).to_be_visible()
        await visit.page.get_by_role("button", name="Redrive all").click()
        await expect(visit.page.get_by_role("status").first).to_contain_text("are back in their queue")


async def test_a_dead_letter_is_discarded_or_redriven_by_itself(
    observe: Observe, look: Look, lake: Lake, data_plane: LocalDataPlane, emulator: Emulator
) -> None:
    await Day(datetime.now(UTC), runs=3).write(lake)
    sqs, dlq, queue = emulator.sqs, data_plane.load_dlq_url, data_plane.load_queue_url
    for number in (1, 2, 3):
        sqs.send_message(QueueUrl=dlq, MessageBody=f'{{"run":471{number}}}')
    async with look() as visit:
        await visit.open(await observe())
        page = visit.page
        await page.get_by_role("button", name="Discard load").click()
        await page.get_by_role("button", name="Discard chosen").click()
        await expect(page.get_by_role("alert")).to_have_text("Choose at least one dead letter.")
        await page.get_by_role("row", name='{"run":4712}').get_by_role("checkbox").check()
        await page.get_by_role("button", name="Discard chosen").click()
        await expect(page.get_by_role("status").first).to_have_text("The dead letters are deleted.")
        await page.get_by_role("button", name="Discard load").click()
        await page.get_by_role("link", name="Redrive them instead").click()
        # The others were released at once.
        await expect(page.get_by_role("checkbox")).to_have_count(2)
        assert await visit.violations() == ""
        await page.get_by_role("row", name='{"run":4713}').get_by_role("checkbox").check()
        await page.get_by_role("button", name="Redrive chosen").click()
        await expect(page.get_by_role("status").first).to_contain_text("are back in their queue")
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
        assert '{"run":4713}' in [message["Body"] for message in messages]
        await page.get_by_role("button", name="Discard load").click()
        await page.get_by_role("button", name="Discard all").click()
        await expect(page.locator("#stages .bad")).to_have_count(0)


async def test_a_run_leads_to_its_log_lines(lake: Lake, observe: Observe, look: Look, tmp_path: Path) -> None:
    await Day(datetime.now(UTC), runs=3).write(lake)
    file = tmp_path / "services.log"
    file.write_text(f'{{"event": "run_committed", "run": 3, "service": "ingest", "note": {json.dumps(HOSTILE)}}}\n')
    url = await observe(log_file=str(file))
    for size in (SCREEN, PHONE):
        async with look(size=size) as visit:
            await visit.open(f"{url}/console/runs/3")
            await visit.page.get_by_role("link", name="Log lines").click()
            assert "run_committed" in await visit.text("table")
            assert await visit.page.locator("main img, main script").count() == 0
            assert await visit.overflow() <= 0
            assert await visit.violations() == ""
            await visit.open(f"{url}/console/runs/2/log")
            assert "No line in" in await visit.text("main")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_text_from_the_data_is_always_escaped(
    lake: Lake, observe: Observe, look: Look, data_plane: LocalDataPlane, emulator: Emulator, scripts: bool
) -> None:
    day = Day(datetime.now(UTC), runs=6, pending=1, trigger=HOSTILE, table=HOSTILE)
    await day.write(lake)
    await put_failure(lake, failure(6, "load", HOSTILE))
    await lake.put_verification(verification(day.now, 5, wrong=(HOSTILE,)))
    emulator.sqs.send_message(QueueUrl=data_plane.load_dlq_url, MessageBody=HOSTILE)
    url = await observe()
    async with look(scripts=scripts) as visit:
        for path, where in (
            ("/", "#runs"),
            ("/", "#attention"),
            ("/", "#verified"),
            ("/console/runs/5", "main"),
            ("/console/actions/redrive?stage=load", "main"),
        ):
            await visit.open(url + path)
            assert HOSTILE in await visit.page.locator(where).inner_text()
            assert "owned" not in await visit.page.title()
            assert await visit.page.locator("main img, main script").count() == 0
        await visit.open(f"{url}/console/actions/replay?from={httpx.QueryParams({'x': HOSTILE})}&stage=load")
        if scripts:
            assert await visit.violations() == ""
        assert await visit.page.locator("main img, main script").count() == 0
