"""`docker compose up`, and nothing else: it works by itself, and when it is asked to."""

import httpx
import pytest

from tests.compose.stack import SERVICES, TOKEN, Stack
from tests.compose.truth import eventually, until_verified
from tests.sources import execute, value
from totesys.log_events import LogEvent

SECONDS_UNAIDED = 120.0
AUTHORISED = {"Authorization": f"Bearer {TOKEN}"}


async def test_the_warehouse_is_complete_without_anyone_doing_anything(stack: Stack) -> None:
    await until_verified(stack, SECONDS_UNAIDED)


async def test_a_change_of_the_source_arrives_with_the_next_tick(stack: Stack) -> None:
    await execute(stack.dsn("source"), "UPDATE sales_order SET units_sold = 4711 WHERE sales_order_id = 1")
    shown = "SELECT units_sold FROM sales.fact_sales_order_current WHERE sales_order_id = 1"

    async def arrived() -> bool:
        return bool(await value(stack.dsn("warehouse"), shown) == 4711)

    await eventually(arrived)
    await until_verified(stack)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_trigger_over_http_wakes_its_service(stack: Stack, service: str) -> None:
    address = f"http://{stack.address(service)}"
    async with httpx.AsyncClient(base_url=address) as http:
        assert (await http.get("/health/ready")).json()["status"] == "ok"
        assert (await http.post("/trigger")).status_code == 401
        queued = await http.post("/trigger", headers=AUTHORISED)
    assert queued.status_code == 202

    async def done() -> bool:
        return any(
            line["message_id"] == queued.json()["message_id"]
            for line in stack.events(service, LogEvent.MESSAGE_PROCESSED)
        )

    await eventually(done)
