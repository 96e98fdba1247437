"""What each service may do in AWS: exactly what it does there. Pure data; the services stack makes policies of it.

Secrets that ECS puts into a task's environment are the execution role's matter.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from totesys.lake import keys
from totesys.model import MODEL
from totesys.schema import Model
from totesys.table import Table
from totesys_infra.names import SERVICES, Names, Purpose, Service

_RUN = f"{keys.RUNS}run=*/"
_PUT = ("s3:PutObject",)
# Parts of ingest may be larger than one put. Its other steps (create, upload, complete) are s3:PutObject, too.
_UPLOAD = (*_PUT, "s3:AbortMultipartUpload")


@dataclass(frozen=True)
class Grant:
    """Leave for `actions` on `resources`, ARNs in which `*` stands for any characters, and why."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    reason: str


def grants(service: Service, names: Names, model: Model = MODEL) -> tuple[Grant, ...]:
    """What the task of a service may do in the lake of a model."""
    stage = {"ingest": _ingest, "transform": _transform, "load": _load}[service]
    return *_every_service(service, names), *stage(names, model)


def _every_service(service: Service, names: Names) -> tuple[Grant, ...]:
    buckets: tuple[Purpose, ...] = ("ingest", "processed")
    queue = names.queue_arn(names.queue(service))
    queues = tuple(names.queue_arn(names.queue(one)) for one in SERVICES)
    dead_letters = tuple(names.queue_arn(names.dead_letters(one)) for one in SERVICES)
    records = _objects(names, "ingest", (keys.RUN_NUMBER, f"{_RUN}{keys.MANIFEST}", f"{_RUN}{keys.EMPTY}"))
    outcomes = _objects(names, "processed", (keys.RUN_NUMBER, f"{_RUN}*.json", f"{keys.VERIFICATIONS}*.json"))
    return (
        # Not limited to prefixes: a GetObject has none, and without this right a missing key would be a refusal.
        Grant(("s3:ListBucket",), tuple(map(names.bucket_arn, buckets)), "finds runs, and knows what is missing"),
        Grant(("s3:GetObject",), records + outcomes, "reads what the stages say of runs, and asks whether S3 answers"),
        Grant(_sqs("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"), (queue,), "its wake-ups"),
        Grant(_sqs("SendMessage"), (names.queue_arn(names.dead_letters(service)),), "gives a message up"),
        Grant(_sqs("SendMessage", "GetQueueAttributes"), queues, "its console shows the queues and wakes each service"),
        Grant(
            _sqs("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"),
            dead_letters,
            "its console shows dead letters, and sends them back",
        ),
    )


def _sqs(*verbs: str) -> tuple[str, ...]:
    return tuple(f"sqs:{verb}" for verb in verbs)


def _ingest(names: Names, model: Model) -> tuple[Grant, ...]:
    records = (keys.RUN_NUMBER, f"{_RUN}{keys.MANIFEST}", f"{_RUN}{keys.EMPTY}")
    return (
        Grant(_PUT, _objects(names, "ingest", records), "numbers and commits runs"),
        Grant(_UPLOAD, _objects(names, "ingest", _csv(model)), "writes the rows and key ranges of runs"),
        Grant(("s3:DeleteObject",), _objects(names, "ingest", _csv(model)), "removes the parts of a run that failed"),
        Grant(
            ("s3:GetObject",), _objects(names, "ingest", _csv(model)), "asks whether an upload without answer is done"
        ),
    )


def _transform(names: Names, model: Model) -> tuple[Grant, ...]:
    records = (f"{_RUN}{keys.MANIFEST}", f"{_RUN}{keys.failure_name('transform')}")
    parts = (*_parquet(model), *_quarantine(model, model.tables))
    return (
        Grant(("s3:GetObject",), _objects(names, "ingest", _csv(model)), "reads ingest's rows and key ranges"),
        Grant(_PUT, _objects(names, "processed", parts), "writes the rows of the warehouse, and those that are none"),
        Grant(_PUT, _objects(names, "processed", records), "commits its part of a run, or says why it cannot"),
        *_replays(names, "transform"),
    )


def _load(names: Names, model: Model) -> tuple[Grant, ...]:
    records = (f"{_RUN}{keys.LOAD}", f"{_RUN}{keys.failure_name('load')}", f"{keys.VERIFICATIONS}*.json")
    orphans = _quarantine(model, model.facts)
    quarantine = _quarantine(model, model.tables)
    return (
        Grant(
            ("s3:GetObject",),
            _objects(names, "ingest", _rows(model, model.sources, "csv")),
            "traces rows back to what they were made of",
        ),
        Grant(("s3:GetObject",), _objects(names, "processed", quarantine), "traces what was set apart"),
        Grant(
            ("s3:GetObject",), _objects(names, "processed", _parquet(model)), "reads transform's rows and key ranges"
        ),
        Grant(_PUT, _objects(names, "processed", orphans), "sets facts apart whose dimension is missing"),
        Grant(_PUT, _objects(names, "processed", records), "says what it did with a run, and what it verified"),
        *_replays(names, "load"),
    )


def _replays(names: Names, stage: Service) -> tuple[Grant, ...]:
    record = _objects(names, "processed", (keys.replay_key(stage, "*"),))
    return (
        Grant(("s3:GetObject", *_PUT), record, "says how far it is with runs that it does again, and goes on there"),
    )


def _objects(names: Names, purpose: Purpose, patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(names.bucket_arn(purpose, pattern) for pattern in patterns)


def _csv(model: Model) -> tuple[str, ...]:
    return _parts(model, model.sources, "csv")


def _parquet(model: Model) -> tuple[str, ...]:
    return _parts(model, model.tables, "parquet")


def _parts(model: Model, tables: Iterable[Table], suffix: str) -> tuple[str, ...]:
    rows = _rows(model, tables, suffix)
    return (*rows, *(f"keys/{pattern}" for pattern in rows))


def _rows(model: Model, tables: Iterable[Table], suffix: str) -> tuple[str, ...]:
    return tuple(f"{schema}/*/run=*/part-*.{suffix}" for schema in _schemas(model, tables))


def _quarantine(model: Model, tables: Iterable[Table]) -> tuple[str, ...]:
    return tuple(f"{keys.QUARANTINE}{schema}/*/run=*/part-*.parquet" for schema in _schemas(model, tables))


def _schemas(model: Model, tables: Iterable[Table]) -> list[str]:
    return sorted({model.lake_schema(table) for table in tables})
