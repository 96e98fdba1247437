"""The page /docs works under the console's content security policy."""

import httpx
from playwright.async_api import expect

from tests.browser.conftest import Look, Observe

CHANGES = {"content-length", "content-type", "date", "server"}


async def test_the_documentation_is_shown_under_the_consoles_policy(observe: Observe, look: Look) -> None:
    url = await observe()
    async with httpx.AsyncClient(base_url=url) as client:
        console, docs = [dict((await client.get(path)).headers) for path in ("/", "/docs")]
    assert {k: v for k, v in docs.items() if k not in CHANGES} == {k: v for k, v in console.items() if k not in CHANGES}
    async with look() as visit:
        await visit.page.goto(f"{url}/docs")
        await expect(visit.page.locator("#operations-runs-runs_runs_get, .opblock").first).to_be_visible(timeout=30_000)
        await expect(visit.page.locator(".opblock-summary-path", has_text="/trigger").first).to_be_visible()
        await visit.page.locator(".opblock-summary-path", has_text="/trigger").first.click()
        await expect(visit.page.locator(".opblock-body").first).to_be_visible()
        # Its small pictures are in its style: the policy leaves them out, and nothing else.
        visit.complaints = [said for said in visit.complaints if "data:image/svg+xml" not in said]
