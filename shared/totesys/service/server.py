"""The process of a service: HTTP and the consumer in one event loop."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Generic, TypeVar

import botocore.session
import uvicorn
from fastapi import APIRouter, FastAPI

from totesys.errors import SettingsError, TotesysError
from totesys.lake.store import Lake, open_lake
from totesys.lineage_sender import lineage_sent
from totesys.log_events import LogEvent
from totesys.logs import configure_logs, logger, observed
from totesys.redaction import error_fields
from totesys.schema import load_model
from totesys.service.background import Background
from totesys.service.consumer import Consumer
from totesys.service.http_api import WebPages, make_app
from totesys.service.http_connections import BACKLOG, limited
from totesys.service.queue import open_queue
from totesys.service.running import Running
from totesys.service.stage_protocol import Stage
from totesys.service_settings import ServiceSettings, read_settings
from totesys.triggers import Trigger

log = logger("totesys.service")

S = TypeVar("S", bound=ServiceSettings)
T = TypeVar("T", bound=Trigger)

# Opens a stage from its settings and the lake, and closes it.
OpenStage = Callable[[S, Lake], AbstractAsyncContextManager[Stage[T]]]

USAGE_ERROR = 2


@dataclass(frozen=True)
class Service(Generic[S, T]):
    """The parts of a service: its types of settings and triggers, its stage, its pages, and its own routes."""

    name: str
    settings: type[S]
    trigger: type[T]
    open_stage: OpenStage[S, T]
    pages: WebPages
    router: APIRouter | None = None


def run_service(service: Service[S, T]) -> None:
    """Serve until SIGTERM or SIGINT, then exit with 0. Log one line and exit with 2 if the settings are wrong."""
    name = service.name
    configure_logs(name)
    try:
        settings = read_settings(service.settings)
        configure_logs(name, settings.metrics_namespace, settings.metric_names)
        load_model(settings.model)
        _require_region()
        listener = None if settings.once else _listen(settings.host, settings.port)
    except TotesysError as error:
        log.error(LogEvent.SERVICE_START_FAILED, **error_fields(error))
        sys.exit(USAGE_ERROR)
    if listener is None:
        sys.exit(asyncio.run(_run_once(service, settings)))
    app = make_app(name, service.trigger, settings, _lifespan(service, settings), service.pages, service.router)
    # uvicorn stops at a signal and then raises it again for the handler that was there before, which is this one.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # What is imported lives as long as the process: the collector need not look at it.
    gc.freeze()
    log.info(LogEvent.SERVICE_LISTENING, host=settings.host, port=listener.getsockname()[1])
    # `http` names the protocol, since uvicorn would use another parser where one is installed.
    config = uvicorn.Config(
        app, http=limited(), backlog=BACKLOG, log_config=None, access_log=False, timeout_graceful_shutdown=5
    )
    server = _Server(config, app)
    asyncio.run(server.serve(sockets=[listener]))
    log.info(LogEvent.SERVICE_STOPPED)
    if not server.started:
        sys.exit(1)


async def _run_once(service: Service[S, T], settings: S) -> int:
    """Do what is pending and what the queue has; the exit code. A signal ends it after the work in progress."""
    async with _opened(service, settings) as running:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.consumer.stop_receiving)
        log.info(LogEvent.SERVICE_STARTED)
        succeeded = await running.consumer.drain()
    log.info(LogEvent.SERVICE_STOPPED)
    return 0 if succeeded else 1


class _Server(uvicorn.Server):
    """Stops receiving messages at the signal, while open HTTP connections still have their grace period."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        running: Running[Any] | None = getattr(self._app.state, "running", None)
        if running is not None:
            asyncio.get_running_loop().call_soon_threadsafe(running.consumer.stop_receiving)


def _require_region() -> None:
    if not botocore.session.Session().get_config_variable("region"):
        raise SettingsError("AWS_DEFAULT_REGION is not set: S3 and SQS need a region. Set it and start again.")


@asynccontextmanager
async def _opened(service: Service[S, T], settings: S) -> AsyncIterator[Running[T]]:
    async with (
        open_lake(settings.ingest_bucket, settings.processed_bucket) as lake,
        open_queue(settings.queue_url, settings.dlq_url) as queue,
        service.open_stage(settings, lake) as stage,
        lineage_sent(settings),
    ):
        background = Background()
        yield Running(stage, queue, Consumer(queue, stage, service.trigger, settings, background), background)


def _lifespan(service: Service[S, T], settings: S) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _opened(service, settings) as running, AsyncExitStack() as tasks:
            app.state.running = running
            tasks.enter_context(observed(running.exposition.take))
            for name, task in running.stage.background.items():
                await tasks.enter_async_context(running.background.during(name, task))
            if watch := service.pages.watch(service.name, settings):
                await tasks.enter_async_context(running.background.during("alerts", watch(running)))
            running.consumer.start()
            log.info(LogEvent.SERVICE_STARTED)
            try:
                yield
            finally:
                await running.consumer.stop(settings.shutdown_grace)

    return lifespan


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Set TOTESYS_PORT to a free port, or stop what uses it."
        ) from None
    return listener
