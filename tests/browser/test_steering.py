"""The console's buttons, over the three real services: they work for everybody who may, and for nobody else."""

from collections.abc import Callable

from playwright.async_api import Page, expect

from tests.browser.conftest import Look, Observe
from tests.processes import LIBRARY
from tests.sources import make_library
from totesys_cli.local.data_plane import DataPlane
from totesys_cli.services import STAGES, run_services

TOKEN = "ʘpen sesame"


async def settings_of(database: Callable[[], str], **more: str) -> dict[str, str]:
    source = await make_library(database())
    return {**LIBRARY, "TOTESYS_SOURCE_DSN": source, "TOTESYS_WAREHOUSE_DSN": database(), **more}


async def reloaded_until(page: Page, selector: str, text: str) -> None:
    """Look again and again, as a person without scripts does, until the page says it."""
    shown = page.locator(selector)
    for _ in range(150):
        if text in await shown.inner_text():
            return
        await page.wait_for_timeout(200)
        await page.goto(page.url)
    raise AssertionError(await shown.inner_text())


async def test_a_run_is_asked_for_with_the_right_token_only_and_appears_by_itself(
    data_plane: DataPlane, database: Callable[[], str], look: Look
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
        await expect(page.get_by_role("status").first).to_contain_text("Ingest has been asked for a run")
        await expect(page.locator("#fresh .verdict")).to_have_text("within the 30 minutes promised", timeout=30_000)
        await expect(page.locator("#news")).to_contain_text("Run 1 is in the warehouse.")
        await expect(page.locator("#runs tbody th")).to_have_text(["1"])
        assert "console" in await visit.text("#runs .trigger")
        assert await visit.violations() == ""


async def test_it_all_works_without_scripts_and_without_a_token(
    data_plane: DataPlane, database: Callable[[], str], look: Look
) -> None:
    settings = await settings_of(database)
    async with (
        run_services(data_plane, settings, dict.fromkeys(STAGES, 0), None) as services,
        look(scripts=False) as visit,
    ):
        page = visit.page
        await visit.open(services.addresses["transform"])
        await page.get_by_role("button", name="Run now").click()
        await expect(page.get_by_role("status").first).to_contain_text("Ingest has been asked for a run")
        await reloaded_until(visit.page, "#fresh", "within the 30 minutes promised")
        await page.get_by_role("link", name="Run 1").click()
        assert "book" in await visit.text("main")
        await page.get_by_role("button", name="Do it again…").click()
        await page.get_by_label("First run").fill("one")
        await page.get_by_label("First run").evaluate("one => one.removeAttribute('pattern')")
        await page.get_by_role("button", name="Do runs again").click()
        await expect(page.get_by_role("alert")).to_have_text("The first run is a number.")
        await page.get_by_label("First run").fill("1")
        await page.get_by_label("Last run").fill("1")
        await page.get_by_role("button", name="Do runs again").click()
        await expect(page.get_by_role("status").first).to_contain_text("The runs will be done again")
        assert await page.locator(".pause").count() == 0


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
        await expect(page.get_by_role("status").first).to_contain_text("Ingest has been asked for a run")
