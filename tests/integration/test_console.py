"""The console's answers: what they let a browser do, and whom they refuse."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.processes import LIBRARY, environment, running
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_infra import data_plane_template

HTML = "text/html; charset=utf-8"
RUN_NOW = "/console/actions/run"


@pytest.fixture(scope="module")
def plane(emulator: Emulator) -> LocalDataPlane:
    return emulator.apply(data_plane_template(), "test-console")


@pytest.fixture(scope="module")
async def client(plane: LocalDataPlane) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a transform service without a token."""
    async with (
        running("transform", environment("transform", plane) | LIBRARY) as service,
        httpx.AsyncClient(base_url=service.url) as client,
    ):
        yield client


def waiting(emulator: Emulator, url: str) -> int:
    """How many messages are in a queue that nobody receives from."""
    answer = emulator.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


async def test_a_page_lets_a_browser_load_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    assert "style=" not in page.text
    assert " on" not in "".join(part.partition(">")[0] for part in page.text.split("<"))


@pytest.mark.parametrize(
    ("path", "status"),
    [("/?before=abc", 422), ("/?before=0", 422), ("/console/runs/abc", 422), ("/console/runs/1", 404)],
)
async def test_an_error_of_a_page_is_a_page(client: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, HTML)


async def test_style_and_script_are_kept_for_ever_under_names_of_their_content(client: httpx.AsyncClient) -> None:
    page = (await client.get("/")).text
    names = {part.partition('"')[0] for part in page.split('"/console/static/')[1:]}
    assert {name.rpartition(".")[2] for name in names} == {"css", "js", "svg"}
    for name in names:
        answer = await client.get(f"/console/static/{name}")
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (await client.get("/console/static/console.css")).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
    ids=str,
)
async def test_another_site_cannot_press_a_button(
    client: httpx.AsyncClient, emulator: Emulator, plane: LocalDataPlane, headers: dict[str, str]
) -> None:
    before = waiting(emulator, plane.ingest_queue_url)
    refused = await client.post(RUN_NOW, headers=headers)
    assert (refused.status_code, refused.headers["content-type"]) == (403, HTML)
    assert waiting(emulator, plane.ingest_queue_url) == before


async def test_another_site_cannot_wake_a_service_that_has_no_token(
    client: httpx.AsyncClient, emulator: Emulator, plane: LocalDataPlane
) -> None:
    for headers in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        refused = await client.post("/trigger", headers=headers, json={"run": 4711})
        assert (refused.status_code, refused.json()["detail"]) == (403, "Another site sent this request.")
    assert (await client.post("/trigger", json={"run": 4712})).status_code == 202
    # There is no such run: what woke the service is a dead letter.
    dead = await asyncio.to_thread(emulator.sqs.receive_message, QueueUrl=plane.transform_dlq_url, WaitTimeSeconds=20)
    assert [letter["Body"] for letter in dead["Messages"]] == ['{"run":4712}']


async def test_a_link_from_another_site_shows_the_page_and_takes_nothing_in_hand(client: httpx.AsyncClient) -> None:
    linked = {"Sec-Fetch-Site": "cross-site"}
    for path, status in (("/", 200), ("/runs", 200), ("/console/actions/redrive", 403)):
        assert (await client.get(path, headers=linked)).status_code == status


async def test_a_name_that_another_site_points_here_is_not_answered_to(client: httpx.AsyncClient) -> None:
    for host in ("elsewhere.example", "127.0.0.1.elsewhere.example", "[", ""):
        for path in ("/", "/console/runs/1", "/console/actions/redrive", "/runs", "/docs"):
            assert (await client.get(path, headers={"Host": host})).status_code == 403
        same = {"Host": host, "Origin": f"http://{host}"}
        for path in (RUN_NOW, "/trigger"):
            assert (await client.post(path, headers=same)).status_code == 403
    for path in ("/", "/health"):
        assert (await client.get(path, headers={"Host": "localhost:8080"})).status_code == 200


async def test_a_health_check_that_names_no_host_is_answered(client: httpx.AsyncClient) -> None:
    where = urlsplit(str(client.base_url))
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(b"GET /health HTTP/1.0\r\n\r\n")
    assert b" 200 " in await reader.readline()
    writer.close()


async def test_a_button_sends_the_message_to_the_service_that_is_to_do_it(
    client: httpx.AsyncClient, emulator: Emulator, plane: LocalDataPlane
) -> None:
    own: dict[str, Any] = {"headers": {"Origin": str(client.base_url).rstrip("/")}}
    for url in (plane.ingest_queue_url, plane.load_queue_url):
        emulator.sqs.purge_queue(QueueUrl=url)
    asked = await client.post(RUN_NOW, **own)
    assert (asked.status_code, asked.headers["location"]) == (303, "/?done=run")
    # Without the word that one is sure, a question is the answer.
    unsure = await client.post("/console/actions/replay", data={"stage": "load", "from": "1"}, **own)
    assert unsure.status_code == 200
    sure = {"stage": "load", "from": "1", "to": "3", "sure": "yes"}
    assert (await client.post("/console/actions/replay", data=sure, **own)).status_code == 303
    for url, said in (
        (plane.ingest_queue_url, '{"mode":"changes","keys":{},"trigger":"console"}'),
        (plane.load_queue_url, '{"from_run":1,"to_run":3}'),
    ):
        (message,) = emulator.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
        assert message["Body"] == said


@pytest.mark.parametrize(
    "fields",
    [{"from": "x"}, {"from": "0"}, {"from": "3", "to": "1"}, {"from": "1", "stage": "ingest"}, {"from": "9" * 12}],
    ids=str,
)
async def test_what_cannot_be_asked_for_is_said_in_the_form(client: httpx.AsyncClient, fields: dict[str, str]) -> None:
    own = {"Origin": str(client.base_url).rstrip("/")}
    answer = await client.post("/console/actions/replay", data={"sure": "yes", **fields}, headers=own)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
