"""The console in Chromium: whatever state the pipeline is in, the page says it, to everybody and by itself."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.browser import PHONE, SCREEN
from tests.browser.conftest import Look, Observe
from tests.browser.day import Day, failure, put_failure, verification
from totesys.lake.lake import Lake
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane

HOSTILE = '"><script>document.title="owned"</script><img src=x onerror=alert(1)>{{7*7}}'


async def test_an_empty_system_says_so_and_offers_the_first_run(observe: Observe, look: Look) -> None:
    async with look() as visit:
        await visit.open(await observe())
        assert "Nothing is in the warehouse yet." in await visit.text("#fresh")
        assert "No run yet." in await visit.text("#runs")
        await expect(visit.page.get_by_role("button", name="Run now")).to_be_visible()
        assert await visit.violations() == ""
        await visit.picture("console-empty")


async def test_a_day_of_runs_is_shown_in_light_in_dark_and_on_a_phone(
    lake: Lake, observe: Observe, look: Look, data_plane: LocalDataPlane, emulator: Emulator
) -> None:
    day = Day(datetime.now(UTC), runs=290, undone=1, late={190: 34, 250: 12})
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
            assert "within the 30 minutes promised" in await visit.text("#fresh")
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
        await visit.page.get_by_role("link", name="Earlier runs").click()
        assert (await visit.text("#runs tbody th")).endswith("270")
        await visit.page.get_by_role("link", name="Newest").click()
        await visit.page.get_by_role("link", name="Run 288").click()
        assert "purchase_order" in await visit.text("#ingest-title >> xpath=..")
        assert await visit.violations() == ""
        await visit.picture("console-run")


async def test_a_run_that_failed_says_where_and_why(lake: Lake, observe: Observe, look: Look) -> None:
    await Day(datetime.now(UTC) - timedelta(minutes=50), runs=12, undone=2).write(lake)
    why = "s3://totesys-processed/sales/fact_sales_order/run=00000011/part-00000.parquet is missing. Restore it."
    await put_failure(lake, failure(11, "load", why))
    url = await observe()
    async with look() as visit:
        await visit.open(url)
        assert "over the 30 minutes promised" in await visit.text("#fresh")
        assert "stopped at run 11" in await visit.text("#stages .failed")
        assert why in await visit.text("#runs .why")
        # What has failed, why, and what happens next stand before everything else.
        first = await visit.text("main section")
        assert "Load has failed at run 11" in first
        assert why in first
        assert "load tries again with each message, and every few minutes without one" in first
        assert (await visit.page.title()).startswith("(!) 1 h")
        assert await visit.violations() == ""
        await visit.picture("console-failed")
        await visit.page.get_by_role("link", name="Run 11, table by table").click()
        assert "Until then no later run is loaded." in await visit.text("main .fault")
        assert await visit.violations() == ""
    for scheme, size in (("dark", SCREEN), ("dark", PHONE), ("light", PHONE)):
        async with look(scheme=scheme, size=size) as visit:
            for path, status in (("/", 200), ("/console/runs/11", 200), ("/console/runs/999", 404)):
                await visit.open(url + path, status)
                assert await visit.overflow() <= 0
                assert await visit.violations() == ""


async def test_what_nobody_takes_up_is_said(lake: Lake, observe: Observe, look: Look) -> None:
    day = Day(datetime.now(UTC) - timedelta(minutes=50), runs=12, undone=2)
    await day.write(lake)
    url = await observe()
    async with look() as visit:
        await visit.open(url)
        assert "Load has not begun run 11" in await visit.text("#wrong")
        assert "has waited for 5" in await visit.text("#stages")
        assert await visit.violations() == ""
        day.undone = 0
        await day.write(lake)
        # The page that is open brings it by itself: all is loaded, and all the same too old.
        await expect(visit.page.locator("#wrong")).to_contain_text("Ingest has committed no run since", timeout=30_000)
        assert "Load has not" not in await visit.text("#wrong")


async def test_dead_letters_are_shown_with_their_reason_and_go_back(observe: Observe, look: Look, lake: Lake) -> None:
    await Day(datetime.now(UTC), runs=3).write(lake)
    url = await observe()
    async with httpx.AsyncClient() as client, look() as visit:
        await visit.open(url)
        await client.post(f"{url}/trigger", json={"run": 4711})
        # The page that is open brings it by itself.
        await expect(visit.page.locator("#stages .bad dd")).to_have_text("1", timeout=30_000)
        await expect(visit.page.locator("#news")).to_contain_text("1 dead letter of transform.")
        assert await visit.violations() == ""
        await visit.page.get_by_role("button", name="Send back to transform").click()
        assert "BadMessage: There is no run 4711 for transform to replay." in await visit.text("table")
        assert '{"run":4711}' in await visit.text("table")
        assert await visit.violations() == ""
        await visit.picture("console-dead-letters", height=500)
        # Who looks has it for a second.
        await expect(visit.page.get_by_role("button", name="Send back")).to_be_visible()
        await visit.page.get_by_role("button", name="Send back").click()
        await expect(visit.page.get_by_role("status").first).to_contain_text("have gone back")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_text_of_the_data_is_never_more_than_text(
    lake: Lake, observe: Observe, look: Look, data_plane: LocalDataPlane, emulator: Emulator, scripts: bool
) -> None:
    day = Day(datetime.now(UTC), runs=6, undone=1, trigger=HOSTILE, table=HOSTILE)
    await day.write(lake)
    await put_failure(lake, failure(6, "load", HOSTILE))
    await lake.put_verification(verification(day.now, 5, wrong=(HOSTILE,)))
    emulator.sqs.send_message(QueueUrl=data_plane.load_dlq_url, MessageBody=HOSTILE)
    url = await observe()
    async with look(scripts=scripts) as visit:
        for path, where in (
            ("/", "#runs"),
            ("/", "#wrong"),
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
