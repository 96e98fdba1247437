"""The console's actions, over the three real services."""

import asyncio
from collections.abc import Callable

import httpx
from playwright.async_api import Page, expect

from tests.browser.conftest import Look, Observe
from tests.processes import LIBRARY
from tests.sources import execute, make_library, rows, value
from totesys.lake.store import Lake
from totesys.stage_names import STAGES
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.service_processes import run_services

TOKEN = "ʘpen sesame"
# Milliseconds.
LONG = 30_000


async def settings_of(database: Callable[[], str], **more: str) -> dict[str, str]:
    source = await make_library(database())
    return {**LIBRARY, "TOTESYS_SOURCE_DSN": source, "TOTESYS_WAREHOUSE_DSN": database(), **more}


async def reloaded_until(page: Page, selector: str, text: str) -> None:
    """Reload the page, as without scripts, until it shows the text."""
    shown = page.locator(selector)
    for _ in range(150):
        if text in await shown.inner_text():
            return
        await page.wait_for_timeout(200)
        await page.goto(page.url)
    raise AssertionError(await shown.inner_text())


async def test_a_run_starts_only_with_the_right_token_and_appears_by_itself(
    data_plane: LocalDataPlane, database: Callable[[], str], look: Look
) -> None:
    settings = await settings_of(database, TOTESYS_TRIGGER_TOKEN=TOKEN)
    async with run_services(data_plane, settings, dict.fromkeys(STAGES, 0), None) as services, look() as visit:
        page = visit.page
        # Of another service than the one that is to do it.
        await visit.open(services.addresses["load"])
        await page.get_by_role("button", name="Run now…").click()
        assert await visit.violations() == ""
        await page.get_by_label("Trigger token").fill("open sesame")
        await page.get_by_role("button", name="Run now").click()
        await expect(page.get_by_role("alert")).to_have_text("This is not the trigger token.")
        await expect(page.get_by_label("Trigger token")).to_be_focused()
        await expect(page.get_by_label("Trigger token")).to_have_value("")
        assert await visit.violations() == ""
        await visit.picture("console-wrong-token", height=480)
        await page.get_by_label("Trigger token").fill(TOKEN)
        await page.get_by_role("button", name="Run now").click()
        await expect(page.get_by_role("status").first).to_contain_text("A run is queued")
        await expect(page.locator("#freshness .verdict")).to_have_text("within the 30 minutes promised", timeout=30_000)
        await expect(page.locator("#news")).to_contain_text("Run 1 is in the warehouse.")
        await expect(page.locator("#runs tbody th")).to_have_text(["1"])
        assert "console" in await visit.text("#runs td.trigger")
        assert await visit.violations() == ""


async def test_the_console_works_without_scripts_and_without_a_token(
    data_plane: LocalDataPlane, database: Callable[[], str], look: Look
) -> None:
    settings = await settings_of(database)
    async with (
        run_services(data_plane, settings, dict.fromkeys(STAGES, 0), None) as services,
        look(scripts=False) as visit,
    ):
        page = visit.page
        await visit.open(services.addresses["transform"])
        await page.get_by_role("button", name="Run now").click()
        await expect(page.get_by_role("status").first).to_contain_text("A run is queued")
        await reloaded_until(visit.page, "#freshness", "within the 30 minutes promised")
        await page.get_by_role("link", name="Run 1").click()
        assert "book" in await visit.text("main")
        await page.get_by_role("button", name="Replay this run…").click()
        await page.get_by_label("First run").fill("one")
        await page.get_by_label("First run").evaluate("one => one.removeAttribute('pattern')")
        await page.get_by_role("button", name="Replay runs").click()
        await expect(page.get_by_role("alert")).to_have_text("The first run must be a number.")
        await page.get_by_label("First run").fill("1")
        await page.get_by_label("Last run").fill("1")
        await page.get_by_role("button", name="Replay runs").click()
        await expect(page.get_by_role("status").first).to_contain_text("The replay is queued")
        assert await page.locator(".pause").count() == 0


async def press(page: Page, name: str, says: str) -> None:
    await page.get_by_role("button", name=name).click()
    await expect(page.get_by_role("status").first).to_contain_text(says)


async def test_deletions_are_found_and_a_verification_and_a_replay_are_done(
    data_plane: LocalDataPlane, database: Callable[[], str], look: Look
) -> None:
    settings = await settings_of(database)
    source, warehouse = settings["TOTESYS_SOURCE_DSN"], settings["TOTESYS_WAREHOUSE_DSN"]
    async with run_services(data_plane, settings, dict.fromkeys(STAGES, 0), None) as services, look() as visit:
        page = visit.page
        verified = page.locator("#verified")
        await visit.open(services.addresses["transform"])
        await press(page, "Run now", "A run is queued")
        await expect(page.locator("#news")).to_contain_text("Run 1 is in the warehouse.", timeout=LONG)

        await execute(source, "DELETE FROM loan WHERE loan_id = 1")
        await press(page, "Verify", "A verification is queued")
        # The verification counts only what was there at the last run.
        await expect(verified).to_contain_text("rows equal the source, in every column.", timeout=LONG)
        await press(page, "Find deletions", "A run that finds deletions is queued.")
        await expect(page.locator("#news")).to_contain_text("Run 2 is in the warehouse.", timeout=LONG)
        assert await rows(warehouse, "SELECT table_name, id, run FROM etl.deletion") == [("fact_loan", 1, 2)]
        await page.get_by_role("link", name="Run 2", exact=True).click()
        deleted = page.get_by_role("region", name="Tables of load").get_by_role("row", name="fact_loan")
        assert (await deleted.locator("td").all_inner_texts())[3] == "1"

        await visit.open(services.addresses["transform"])
        await execute(warehouse, "UPDATE warehouse.fact_loan SET reader = 'Eve' WHERE loan_id = 2")
        await press(page, "Verify", "A verification is queued")
        await expect(verified).to_contain_text("1 row of 4 differs from the source.", timeout=LONG)
        await expect(page.locator("#attention")).to_contain_text("The warehouse differs from the source")
        assert await visit.violations() == ""

        await page.get_by_role("button", name="Replay runs").click()
        await page.get_by_label("load").check()
        await page.get_by_label("First run").fill("1")
        await press(page, "Replay runs", "The replay is queued")
        reader = "SELECT reader FROM warehouse.fact_loan WHERE loan_id = 2"
        async with asyncio.timeout(LONG / 1000):
            while await value(warehouse, reader) != "Bob":
                await page.wait_for_timeout(50)
        await press(page, "Verify", "A verification is queued")
        await expect(verified).to_contain_text("All 4 rows equal the source, in every column.", timeout=LONG)
        await expect(page.locator("#attention")).to_be_hidden()


async def test_a_redriven_dead_letter_is_processed_once_its_cause_is_fixed(
    data_plane: LocalDataPlane, database: Callable[[], str], look: Look, lake: Lake
) -> None:
    settings = await settings_of(database)
    async with (
        run_services(data_plane, settings, dict.fromkeys(STAGES, 0), None) as services,
        httpx.AsyncClient() as client,
        look() as visit,
    ):
        page = visit.page
        dead = page.locator("#stages li", has_text="Transform").locator("dd").last
        # There is no run yet.
        await client.post(f"{services.addresses['transform']}/trigger", json={"run": 1})
        await visit.open(services.addresses["ingest"])
        await expect(dead).to_have_text("1", timeout=LONG)
        await press(page, "Run now", "A run is queued")
        await expect(page.locator("#news")).to_contain_text("Run 1 is in the warehouse.", timeout=LONG)
        before = await lake.processed_manifest(1)
        await page.get_by_role("link", name="Dead letters of transform").click()
        await expect(page.get_by_role("table")).to_contain_text("There is no run 1 for transform to replay.")
        await expect(page.get_by_role("button", name="Redrive all")).to_be_visible()
        await press(page, "Redrive all", "The dead letters are back in their queue.")
        async with asyncio.timeout(LONG / 1000):
            while await lake.processed_manifest(1) == before:
                await page.wait_for_timeout(50)
        await expect(dead).to_have_text("0", timeout=LONG)
        await expect(page.locator("#attention")).to_be_hidden(timeout=LONG)


async def test_the_keyboard_is_enough(observe: Observe, look: Look) -> None:
    async with look() as visit:
        page = visit.page
        await visit.open(await observe())
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
        await page.keyboard.press("Enter")
        seen: list[str] = []
        while "Run now" not in seen:
            await page.keyboard.press("Tab")
            focused = page.locator(":focus")
            assert await focused.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
            seen.append(await focused.inner_text())
            assert len(seen) < 20
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status").first).to_contain_text("A run is queued")
