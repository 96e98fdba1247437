"""Logs: one JSON object a line on standard output. A line may carry metrics in CloudWatch's embedded format."""

import logging
import sys
import time
from dataclasses import dataclass
from io import StringIO
from types import TracebackType
from typing import Any, TextIO

import structlog

from totesys.discreet import words, write_traceback

NAMESPACE = "totesys"


class _Lines(logging.StreamHandler[TextIO]):
    """Lines that are of no use once their reader has gone: this process is about to be stopped."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - it overrides logging's, which has this name
        if not isinstance(sys.exception(), BrokenPipeError):
            super().handleError(record)


def configure_logs(service: str, namespace: str = NAMESPACE) -> None:
    """Send our own and the libraries' log lines to standard output as JSON, each with `service`.

    `namespace` is CloudWatch's, of the metrics that lines carry.
    """
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        stamp,
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
                _InNamespace(namespace),
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("totesys").setLevel(logging.INFO)
    structlog.contextvars.bind_contextvars(service=service)
    sys.excepthook = _log_crash


def _log_crash(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    """What ends a process is a line, too: Python would print the words of whatever error."""
    logger("totesys").critical("service crashed", error=words(error), kind=kind.__name__, exc_info=(kind, error, at))


def _traceback(exc_info: structlog.typing.ExcInfo) -> str:
    with StringIO() as out:
        write_traceback(out, exc_info)
        return out.getvalue()


def _without_futures(_log: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """What asyncio says of a task that nobody waits for, without the task: it shows the words of its error."""
    if event["_record"].name == "asyncio":
        event["event"] = str(event["event"]).partition("\n")[0]
    return event


@dataclass(frozen=True)
class _InNamespace:
    """Puts the metrics of a line into a namespace."""

    namespace: str

    def __call__(self, _log: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if "_aws" not in event:
            return event
        directives = [{"Namespace": self.namespace, **one} for one in event["_aws"]["CloudWatchMetrics"]]
        return {**event, "_aws": {**event["_aws"], "CloudWatchMetrics": directives}}


def quiet_logs() -> None:
    """Let through warnings alone, as lines on standard error: for a command, whose output is its own."""
    structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose name starts with `totesys`."""
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return log


def metrics(dimensions: dict[str, str], **values: tuple[float, str]) -> dict[str, Any]:
    """Fields that make a log line carry metrics: each value with its CloudWatch unit.

    The format is AWS's "CloudWatch embedded metric format specification".
    """
    metadata = {
        "Timestamp": int(time.time() * 1000),
        "CloudWatchMetrics": [
            {
                "Dimensions": [list(dimensions)],
                "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in values.items()],
            }
        ],
    }
    return {"_aws": metadata, **dimensions, **{name: value for name, (value, _) in values.items()}}
