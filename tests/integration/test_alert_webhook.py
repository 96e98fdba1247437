"""A webhook gets one message for each problem and one when it ends, across failures of the webhook and restarts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.processes import LIBRARY, environment, running
from tests.until import until
from totesys.log_events import LogEvent
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.ports import LOOPBACK


@dataclass
class Webhook:
    """A receiver that refuses its first `refuses` messages, as Slack's does while it is down."""

    refuses: int = 0
    url: str = ""
    texts: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert body.keys() == {"text"}
        if self.refuses:
            self.refuses -= 1
            return web.Response(status=503)
        self.texts.append(body["text"])
        return web.Response(text="ok")


@asynccontextmanager
async def receiving(webhook: Webhook) -> AsyncIterator[Webhook]:
    app = web.Application()
    app.router.add_post("/services/secret", webhook.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    webhook.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}/services/secret"
    try:
        yield webhook
    finally:
        await runner.cleanup()


async def test_a_webhook_gets_each_problem_once_and_its_end(
    database: Callable[[], str], data_plane: LocalDataPlane, emulator: Emulator
) -> None:

    async def send(body: str) -> None:
        await asyncio.to_thread(emulator.sqs.send_message, QueueUrl=data_plane.load_queue_url, MessageBody=body)

    async with receiving(Webhook(refuses=1)) as webhook:
        settings = {"warehouse_dsn": database(), "alert_webhook": webhook.url, "alert_every": "PT0.2S"}
        variables = environment("load", data_plane, **settings) | LIBRARY

        async with running("load", variables) as service:
            await send("rubbish")
            await service.event(LogEvent.ALERT_FAILED)
            await until(lambda: webhook.texts)
            # More of the same, then time for looks that would tell it.
            await send("more")
            await service.event(LogEvent.MESSAGE_FAILED, next="dead-letter queue")
            await asyncio.sleep(2)
            words = await service.last_words()
        assert webhook.url.encode() not in words
        (begun,) = webhook.texts
        assert begun.startswith(":red_circle: *1 dead letter of load*\n1 ")
        assert "The message is neither an S3 event nor a trigger" in begun

        async with running("load", variables) as service:
            await asyncio.sleep(2)
            assert webhook.texts == [begun]
            await asyncio.to_thread(emulator.sqs.purge_queue, QueueUrl=data_plane.load_dlq_url)
            await service.event(LogEvent.ALERTS_SENT, begun=[], ended=["dead letter of load"])
        assert webhook.texts[1:] == [":large_green_circle: Resolved: 1 dead letter of load"]
