"""Logs: one JSON object per line on standard output, optionally with metrics in CloudWatch's embedded format."""

import logging
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from types import TracebackType
from typing import Any, TextIO

import structlog

from totesys.log_events import LogEvent
from totesys.metric_declarations import declared_metric
from totesys.redaction import safe_message, write_traceback

NAMESPACE = "totesys"
# The most warnings and errors of one kind in WINDOW_SECONDS: from this code, and from libraries.
WINDOW_SECONDS = 10.0
MOST_OF_OURS, MOST_OF_OTHERS = 30, 5
_MOST_KINDS = 1000
_observers: list[Callable[[Mapping[str, Any]], None]] = []


class _Lines(logging.StreamHandler[TextIO]):
    """Ignores that the reader of the lines is gone: the process is about to be stopped."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        if not isinstance(sys.exception(), BrokenPipeError):
            super().handleError(record)


@dataclass
class _Window:
    """How many lines of one kind were logged and dropped since a time."""

    started: float
    logged: int = 0
    dropped: int = 0


class _RateLimit(logging.Filter):
    """Drops lines of the same kind beyond a number per WINDOW_SECONDS. The next line says how many (`left_out`).

    Anybody who can cause a line could cause a flood, which hides other lines and costs money. A kind is a logger, a
    level and an event, or the start of a text. Progress and metrics are never dropped.
    """

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[tuple[str, int, str], _Window] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        own = record.msg if isinstance(record.msg, dict) else None
        ours = record.name.startswith("totesys")
        if (own is not None and "_aws" in own) or (ours and record.levelno < logging.WARNING):
            return True
        text = str(own["event"]) if own is not None and "event" in own else str(record.msg)
        kind = record.name, record.levelno, text.partition("\n")[0][:80]
        now = time.monotonic()
        window = self._windows.get(kind)
        if window is None or now - window.started >= WINDOW_SECONDS:
            dropped = window.dropped if window else 0
            if len(self._windows) >= _MOST_KINDS:
                self._windows.clear()
            window = self._windows[kind] = _Window(now)
            if dropped:
                _add_dropped(record, own, dropped)
        window.logged += 1
        if window.logged <= (MOST_OF_OURS if ours else MOST_OF_OTHERS):
            return True
        window.dropped += 1
        return False


def _add_dropped(record: logging.LogRecord, own: dict[str, Any] | None, dropped: int) -> None:
    if own is not None:
        record.msg = {**own, "left_out": dropped}
    else:
        record.msg, record.args = f"{record.getMessage()} ({dropped} lines of this kind were dropped)", ()


def configure_logs(service: str, namespace: str = NAMESPACE, only: Collection[str] = ()) -> None:
    """Send the log lines of this code and of libraries to standard output as JSON, each with `service`.

    `namespace` is the CloudWatch namespace of the metrics, and `only` names those to emit; empty for all.
    """
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        stamp,
        _show_observers,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = _Lines(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                _without_futures,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.ExceptionRenderer(_traceback),
                _Metrics(namespace, only),
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    handler.addFilter(_RateLimit())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("totesys").setLevel(logging.INFO)
    structlog.contextvars.bind_contextvars(service=service)
    sys.excepthook = _log_crash


@contextmanager
def observed(observer: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """Show the observer every log line during the block, before any is dropped."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def _show_observers(_log: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for observer in _observers:
        observer(event)
    return event


def _log_crash(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    """Log the error that ends the process. Python would print its message, which may hold a row's values."""
    logger("totesys").critical(
        LogEvent.SERVICE_CRASHED, error=safe_message(error), kind=kind.__name__, exc_info=(kind, error, at)
    )


def _traceback(exc_info: structlog.typing.ExcInfo) -> str:
    with StringIO() as out:
        write_traceback(out, exc_info)
        return out.getvalue()


def _without_futures(_log: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Shorten asyncio's report of a task that nobody awaited: the task shows the message of its error."""
    if event["_record"].name == "asyncio":
        event["event"] = str(event["event"]).partition("\n")[0]
    return event


@dataclass(frozen=True)
class _Metrics:
    """Puts the metrics of a line into a namespace, and leaves out those that are not to be emitted."""

    namespace: str
    only: Collection[str]

    def __call__(self, _log: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if "_aws" not in event:
            return event
        directives = [
            {"Namespace": self.namespace, **one, "Metrics": chosen}
            for one in event["_aws"]["CloudWatchMetrics"]
            if (chosen := [metric for metric in one["Metrics"] if not self.only or metric["Name"] in self.only])
        ]
        if not directives:
            return {key: value for key, value in event.items() if key != "_aws"}
        return {**event, "_aws": {**event["_aws"], "CloudWatchMetrics": directives}}


def quiet_logs() -> None:
    """Log only warnings and errors, on standard error: for a command, which has output of its own."""
    structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose name starts with `totesys`."""
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return log


def metrics(stage: str, **values: float) -> dict[str, Any]:
    """The fields that add declared metrics of a stage to a log line. Raises KeyError for an undeclared one.

    See AWS's "CloudWatch embedded metric format specification".
    """
    metadata = {
        "Timestamp": int(time.time() * 1000),
        "CloudWatchMetrics": [
            {
                "Dimensions": [["stage"]],
                "Metrics": [{"Name": name, "Unit": declared_metric(stage, name).unit} for name in values],
            }
        ],
    }
    return {"_aws": metadata, "stage": stage, **values}
