"""Chromium as a person has it, who sees every complaint of the page, and axe-core."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
# It runs as root in a container, and asks nobody for anything.
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
    """A page that is open, and what it complained of: errors, refusals of its policy, dialogs, foreign requests."""

    page: Page
    pictures: bool = False
    complaints: list[str] = field(default_factory=list)

    async def open(self, url: str, status: int = 200) -> None:
        answer = await self.page.goto(url)
        assert answer is not None
        assert answer.status == status, await answer.text()

    async def text(self, selector: str = "body") -> str:
        """What a person reads there."""
        return str(await self.page.locator(selector).first.inner_text())

    async def picture(self, name: str, height: int | None = None) -> None:
        """Keep what is seen in the documentation's folder, if the call of the tests asks for it."""
        if self.pictures:
            seen = self.page.viewport_size
            assert seen is not None
            clip = {"x": 0, "y": 0, "width": seen["width"], "height": height or seen["height"]}
            await self.page.screenshot(path=IMAGES / f"{name}.png", clip=clip, animations="disabled")

    async def violations(self) -> str:
        """What axe-core finds; nothing is good."""
        found = await Axe().run(self.page)
        return str(found.generate_report()) if found.violations_count else ""

    async def overflow(self) -> int:
        """How many pixels of the page are beyond the screen's right edge."""
        return int(await self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """A browser without a window."""
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
    """A new visitor, without a past. At the end the page must have complained of nothing."""
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
    # Chromium calls each answer that is no success an error; the tests look at these themselves.
    if kind in {"error", "warning"} and "the server responded with a status of" not in text:
        visit.complaints.append(f"{kind}: {text}")


def _note_request(visit: Visit, host: list[str], url: str) -> None:
    origin = "/".join(url.split("/")[:3])
    host.append(origin)
    if origin != host[0]:
        visit.complaints.append(f"a request to {url}")
