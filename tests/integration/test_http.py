"""Whatever a client sends, a service answers it with a problem document that tells nothing of its inside."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.processes import LIBRARY, environment, running
from totesys.service.body import KIB
from totesys_cli.local.emulator import Emulator
from totesys_infra import data_plane_template

TOKEN = "ʘpen sesame"
HOSTS = "transform.shop.internal, Internal-Shop-1.elb.amazonaws.com"
AUTHORISED = {b"Authorization": f"Bearer {TOKEN}".encode()}
JSON = {"Content-Type": "application/json"}


FOREIGN = (
    {"Origin": "https://elsewhere.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


@pytest.fixture(scope="module")
async def client(emulator: Emulator) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a transform service, with the token."""
    plane = emulator.apply(data_plane_template(), "test-http")
    async with (
        running(
            "transform", environment("transform", plane, trigger_token=TOKEN, allowed_hosts=HOSTS) | LIBRARY
        ) as service,
        httpx.AsyncClient(base_url=service.url, headers=AUTHORISED) as client,
    ):
        yield client


def problem_in(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "detail"} <= problem.keys()
    assert problem["status"] == status
    assert "Traceback" not in answer.text
    return problem


async def chunked(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // KIB):
        yield b" " * KIB
    yield b"{}"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "GET", "TRACE"])
async def test_a_method_that_is_not_there_is_a_405_that_names_the_one_that_is(
    client: httpx.AsyncClient, method: str
) -> None:
    answer = await client.request(method, "/trigger")
    problem_in(answer, 405)
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/console/", "/runs/", "/health/", "/trigger/x", "/..%2fetc", "/%ff", "/static-offline-docs/x"]
)
async def test_a_path_that_is_not_there_is_a_404(client: httpx.AsyncClient, path: str) -> None:
    problem_in(await client.get(path), 404)


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer x", "Basic eDp5", "Bearer open sesame", "Bearer \xff"])
async def test_another_token_is_a_401(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.post("/trigger", headers={b"Authorization": given.encode("latin-1")})
    problem_in(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_token_is_taken_whatever_its_letters(client: httpx.AsyncClient) -> None:
    assert (await client.post("/trigger")).status_code == 202


async def test_a_body_that_is_too_large_is_a_413_whether_declared_or_not(client: httpx.AsyncClient) -> None:
    for path in ("/trigger", "/nothing"):
        problem_in(await client.post(path, content=b" " * (64 * KIB + 1), headers=JSON), 413)
        problem_in(await client.post(path, content=chunked(64 * KIB), headers=JSON), 413)


async def test_a_body_up_to_the_limit_is_taken(client: httpx.AsyncClient) -> None:
    assert (await client.post("/trigger", content=b"{}".rjust(64 * KIB), headers=JSON)).status_code == 202
    assert (await client.post("/trigger", content=chunked(63 * KIB), headers=JSON)).status_code == 202


async def test_a_client_that_goes_in_the_middle_of_its_body_disturbs_nobody(client: httpx.AsyncClient) -> None:
    where = urlsplit(str(client.base_url))
    _, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(b"POST /trigger HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    await writer.drain()
    writer.close()
    assert (await client.get("/health")).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b'{"run": 1} x', 422),
        (b'{"\\ud800": 1}', 422),
        (b'{"run": "\\udfff"}', 422),
        (b'{"run": 1e999}', 422),
        (b"[" * 60_000, 400),
        (b'{"run": "\xff"}', 400),
        (b"9" * 5000, 400),
    ],
    ids=range(8),
)
async def test_a_body_that_is_no_wake_up_is_refused(client: httpx.AsyncClient, body: bytes, status: int) -> None:
    problem_in(await client.post("/trigger", content=body, headers=JSON), status)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "rubbish", "multipart/form-data"])
async def test_a_body_that_is_not_json_is_a_415(client: httpx.AsyncClient, kind: str) -> None:
    problem_in(await client.post("/trigger", content=b"run=1", headers={"Content-Type": kind}), 415)
    assert (await client.post("/trigger", content=b"{}", headers={"Content-Type": "application/x+json"})).is_success


async def test_what_is_wrong_is_named(client: httpx.AsyncClient) -> None:
    problem = problem_in(await client.post("/trigger", json={"run": 0, "walk": 1}), 422)
    assert [fault["where"] for fault in problem["faults"]] == [["body", "run"], ["body", "walk"]]
    assert problem["detail"].startswith("body.run: Input should be greater than or equal to 1; body.walk: ")


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_page_of_another_site_cannot_have_anything_done_whatever_it_asks(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    for method, path in (("POST", "/trigger"), ("POST", "/nothing"), ("PUT", "/runs"), ("DELETE", "/runs/1")):
        problem_in(await client.request(method, path, headers=headers), 403)


async def test_its_own_page_can_and_what_is_no_browser(client: httpx.AsyncClient) -> None:
    own = str(client.base_url).rstrip("/")
    for headers in ({"Origin": own}, {"Origin": own, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}):
        assert (await client.post("/trigger", headers=headers)).status_code == 202


@pytest.mark.parametrize("path", ["/", "/health", "/health/ready", "/runs", "/docs", "/openapi.json", "/nothing"])
async def test_a_service_answers_to_no_name_that_a_page_can_point_at_it(client: httpx.AsyncClient, path: str) -> None:
    """DNS rebinding: to the browser the page and the service are the same site."""
    for host in ("evil.example", "evil.example:8080", "transform.evil.example", "load:8080"):
        assert (await client.get(path, headers={"Host": host})).status_code == 403
        answer = await client.post("/trigger", headers={"Host": host, "Origin": f"http://{host}"})
        assert "TOTESYS_ALLOWED_HOSTS" in problem_in(answer, 403)["detail"]


async def test_a_service_answers_to_its_own_name_and_those_that_it_is_told(client: httpx.AsyncClient) -> None:
    for host in ("transform.shop.internal:8080", "internal-shop-1.elb.amazonaws.com", "transform:8080", "10.0.0.7"):
        named = {"Host": host, "Origin": f"https://{host}"}
        assert (await client.post("/trigger", headers=named)).status_code == 202
        assert (await client.get("/health", headers={"Host": host})).status_code == 200


async def until_it_says(words: str, ask: Callable[[], Awaitable[httpx.Response]]) -> str:
    """The page, once it has the words: who looks at dead letters has them for a second."""
    for _ in range(60):
        if words in (page := (await ask()).text):
            return page
        await asyncio.sleep(1.1)
    raise AssertionError(page)


async def test_what_a_dead_letter_says_is_shown_to_who_has_the_token_alone(client: httpx.AsyncClient) -> None:
    own = {"Origin": str(client.base_url).rstrip("/"), "Authorization": ""}
    await client.post("/trigger", json={"run": 4242})
    page, asked, reason = "/console/actions/redrive", {"stage": "transform", "sure": "no"}, "no run 4242"
    assert "4242}" not in await until_it_says(reason, lambda: client.get(page, params=asked))
    for wrong in ({}, {"token": ""}, {"token": "guessed"}):
        refused = await client.post(page, data=asked | wrong, headers=own)
        assert (refused.status_code, "4242}" in refused.text) == (401, False)
    right = asked | {"token": TOKEN}
    assert "4242}" in await until_it_says(reason, lambda: client.post(page, data=right, headers=own))
