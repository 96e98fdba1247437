"""Watches for problems, and posts each to a webhook once when it begins and once when it ends."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from pydantic import SecretStr

from totesys.errors import TotesysError
from totesys.lake.bucket import Bucket
from totesys.lake.keys import alerts_key
from totesys.lake.records import OpenAlerts, parse_record, to_json
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.service.background import Task
from totesys.service.running import Running
from totesys.service_settings import ServiceSettings
from totesys_console.alert_decisions import Changes, begun_text, changes, ended_text, problems
from totesys_console.facts import Observer
from totesys_console.page_query import PageQuery

log = logger("totesys.alerts")

POST_SECONDS = 10.0


class WebhookRefused(TotesysError):
    """The webhook did not take a message."""


class AlertWatch:
    """Looks at an interval at what the console shows.

    The lake records which problems were told. So neither a restart nor another replica tells of one again.
    """

    def __init__(self, service: str, running: Running[Any], webhook: SecretStr) -> None:
        self._service = service
        self._running = running
        self._webhook = webhook
        self._observer = Observer()
        self._before: frozenset[str] = frozenset()
        self._told = OpenAlerts()

    async def watch(self, seconds: float) -> None:
        """Look every so many seconds, until cancelled. A failed look or message is logged and repeated later."""
        while True:
            try:
                await self.look()
            except TotesysError as error:
                log.warning(LogEvent.ALERT_FAILED, error=str(error), next="sent again at the next interval")
            await asyncio.sleep(seconds)

    async def look(self) -> None:
        """Look once, and tell what has changed. Raises TotesysError."""
        now = problems(await self._observer.facts(self._service, self._running, PageQuery()))
        record = AlertRecord(self._running.stage.lake.processed, self._service)
        try:
            self._told = await record.read()
        except TotesysError:
            # A lake that is down is a problem itself, and must not keep it from being told.
            record.readable = False
        found = changes(self._told.open, now, self._before)
        self._before = frozenset(now)
        if not (found.begun or found.ended):
            return
        told = OpenAlerts(open=_after(self._told, found))
        # Recorded first: of several replicas that find the same, one records and tells it.
        if not await record.replace(told):
            return
        try:
            await self._tell(found)
        except WebhookRefused:
            await record.restore(self._told)
            raise
        self._told = told

    async def _tell(self, found: Changes) -> None:
        texts = [begun_text(self._service, item) for item in found.begun.values()]
        texts += map(ended_text, found.ended.values())
        timeout = ClientTimeout(total=POST_SECONDS)
        async with ClientSession(timeout=timeout) as http:
            for text in texts:
                try:
                    async with http.post(self._webhook.get_secret_value(), json={"text": text}) as answer:
                        status = answer.status
                except (ClientError, TimeoutError, ValueError) as error:
                    # The address is a secret, which the error's message would show.
                    raise WebhookRefused(f"The alert webhook cannot be reached: {type(error).__name__}.") from None
                if status >= 300:
                    raise WebhookRefused(f"The alert webhook answered {status}. Check TOTESYS_ALERT_WEBHOOK.")
        log.info(LogEvent.ALERTS_SENT, begun=sorted(found.begun), ended=sorted(found.ended))


class AlertRecord:
    """The record of one service's open alerts, `alerts/load.json`, which replicas share."""

    def __init__(self, bucket: Bucket, service: str) -> None:
        self._bucket = bucket
        self._key = alerts_key(service)
        self._etag: str | None = None
        self.readable = True

    async def read(self) -> OpenAlerts:
        """The open alerts. Raises TotesysError."""
        found = await self._bucket.get_with_etag(self._key)
        if found is None:
            return OpenAlerts()
        body, self._etag = found
        return parse_record(OpenAlerts, self._key, body)

    async def replace(self, alerts: OpenAlerts) -> bool:
        """Record other ones, unless another replica did since `read`; without a lake, true. Raises TotesysError."""
        if not self.readable:
            return True
        if self._etag is None:
            return await self._bucket.put_new(self._key, to_json(alerts))
        return await self._bucket.put_instead(self._key, to_json(alerts), self._etag)

    async def restore(self, alerts: OpenAlerts) -> None:
        """Record the earlier ones again, since nobody was told of others. Raises TotesysError."""
        if self.readable:
            await self._bucket.put(self._key, to_json(alerts))


def _after(told: OpenAlerts, found: Changes) -> dict[str, str]:
    still = {problem: text for problem, text in told.open.items() if problem not in found.ended}
    return still | {problem: item.what for problem, item in found.begun.items()}


def alert_watch(service: str, settings: ServiceSettings) -> Callable[[Running[Any]], Task] | None:
    """Makes the background task that sends alerts; None if no webhook is set."""
    webhook, seconds = settings.alert_webhook, settings.alert_every.total_seconds()
    if not webhook:
        return None
    return lambda running: partial(AlertWatch(service, running, webhook).watch, seconds)
