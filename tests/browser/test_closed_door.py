"""A page in a browser on this machine can neither read nor change anything in the emulator."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from botocore.exceptions import ClientError
from playwright.async_api import Browser

from tests.exploits import FUNCTION
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane

FETCH = """([url, options]) => fetch(url, options).then(
    async answer => `${answer.type} ${answer.status} ${await answer.text()}`, error => 'refused')"""
SEND_A_FORM = """([url, key]) => {
    const form = Object.assign(document.createElement('form'), {action: url, method: 'POST', target: 'there',
                                                                enctype: 'multipart/form-data'});
    const frame = Object.assign(document.createElement('iframe'), {name: 'there'});
    form.append(Object.assign(document.createElement('input'), {name: 'key', value: key}),
                Object.assign(document.createElement('input'), {name: 'file', value: 'planted'}));
    document.body.append(frame, form);
    const loaded = new Promise(done => frame.onload = done);
    form.submit();
    return loaded.then(() => 'sent');
}"""


@pytest.fixture
async def somebodys_page() -> AsyncIterator[str]:
    """The address of another program's page on this machine, without a policy."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html><body>hello</body></html>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}/"
    await runner.cleanup()


async def test_a_pages_script_makes_no_function_and_reads_nothing(
    browser: Browser, emulator: Emulator, data_plane: LocalDataPlane, somebodys_page: str
) -> None:
    await asyncio.to_thread(emulator.s3.put_object, Bucket=data_plane.ingest_bucket, Key="row", Body=b"secret")
    at = emulator.endpoint_url
    page = await browser.new_page()
    await page.goto(somebodys_page)
    functions = f"{at}/2015-03-31/functions"
    for url, options in (
        (functions, {"method": "POST", "body": str(FUNCTION)}),
        (functions, {"method": "POST", "body": str(FUNCTION), "headers": {"Authorization": "AWS4-HMAC-SHA256 x"}}),
        (f"{functions}/{FUNCTION['FunctionName']}/invocations", {"method": "POST", "body": "{}"}),
        (f"{at}/{data_plane.ingest_bucket}/row", {}),
        (f"{at}/{data_plane.ingest_bucket}/row", {"method": "PUT", "body": "planted"}),
        (f"{at}/_ministack/health", {}),
        (f"{at}/_ministack/reset", {"method": "POST"}),
    ):
        assert await page.evaluate(FETCH, [url, options]) == "refused", url
        # Whose answer the page may not read, which would be enough to have something done.
        assert (await page.evaluate(FETCH, [url, {**options, "mode": "no-cors", "headers": {}}])).strip() in {
            "opaque 0",
            "refused",
        }
    assert await page.evaluate(SEND_A_FORM, [f"{at}/{data_plane.ingest_bucket}", "planted"]) == "sent"
    with pytest.raises(ClientError, match="404"):
        await asyncio.to_thread(emulator.s3.head_object, Bucket=data_plane.ingest_bucket, Key="planted")
    kept = await asyncio.to_thread(emulator.s3.get_object, Bucket=data_plane.ingest_bucket, Key="row")
    assert await asyncio.to_thread(kept["Body"].read) == b"secret"
    answer = await page.goto(f"{at}/{data_plane.ingest_bucket}/row")
    assert answer is not None
    assert (answer.status, "secret" in await answer.text()) == (403, False)
    await page.close()
