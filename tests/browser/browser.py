"""Chromium with axe-core, and a visitor that records every error of the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
# It runs as root in a container, without background requests.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
IMAGES = Path(__file__).parents[2] / "docs" / "images"
SCREEN, PHONE = (1200, 1040), (390, 844)


@dataclass
class Visit:
    """An open page and its complaints: errors, violations of its policy, dialogs, requests to other hosts."""

    page: Page
    pictures: bool = False
    complaints: list[str] = field(default_factory=list)

    async def open(self, url: str, status: int = 200) -> None:
        answer = await self.page.goto(url)
        assert answer is not None
        assert answer.status == status, await answer.text()

    async def text(self, selector: str = "body") -> str:
        """The visible text."""
        return str(await self.page.locator(selector).first.inner_text())

    async def picture(self, name: str, height: int | None = None) -> None:
        """Save a picture for the documentation, if the tests run with --pictures."""
        if self.pictures:
            seen = self.page.viewport_size
            assert seen is not None
            clip = {"x": 0, "y": 0, "width": seen["width"], "height": height or seen["height"]}
            await self.page.screenshot(path=IMAGES / f"{name}.png", clip=clip, animations="disabled")

    async def violations(self) -> str:
        """The findings of axe-core; empty if there are none."""
        found = await Axe().run(self.page)
        return str(found.generate_report()) if found.violations_count else ""

    async def overflow(self) -> int:
        """How many pixels the page extends beyond the right edge of the screen."""
        return int(await self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """A headless browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visiting(
    browser: Browser,
    *,
    pictures: bool = False,
    scheme: Literal["light", "dark"] = "light",
    size: tuple[int, int] = SCREEN,
    scripts: bool = True,
) -> AsyncIterator[Visit]:
    """A new visitor with an empty profile. At the end, the page must have no complaints."""
    options: dict[str, Any] = {"viewport": {"width": size[0], "height": size[1]}, "java_script_enabled": scripts}
    context = await browser.new_context(color_scheme=scheme, reduced_motion="reduce", **options)
    visit = Visit(await context.new_page(), pictures)
    host: list[str] = []
    visit.page.on("pageerror", lambda error: visit.complaints.append(f"error: {error}"))
    visit.page.on("dialog", lambda dialog: visit.complaints.append(f"dialog: {dialog.message}"))
    visit.page.on("console", lambda said: _note(visit, said.type, said.text))
    visit.page.on("request", lambda asked: _note_request(visit, host, asked.url))
    try:
        yield visit
        assert visit.complaints == []
    finally:
        await context.close()


def _note(visit: Visit, kind: str, text: str) -> None:
    # Chromium reports every answer that is not a success as an error; the tests check these themselves.
    if kind in {"error", "warning"} and "the server responded with a status of" not in text:
        visit.complaints.append(f"{kind}: {text}")


def _note_request(visit: Visit, host: list[str], url: str) -> None:
    origin = "/".join(url.split("/")[:3])
    host.append(origin)
    if origin != host[0]:
        visit.complaints.append(f"a request to {url}")
