"""What each service may do in AWS, exactly as much as it does. Pure data.

ECS injects secrets into a task's environment, so they belong to the execution role (`stacks/task_roles.py`).
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
# Ingest uploads large parts in pieces. Creating, uploading and completing them is s3:PutObject, too.
_UPLOAD = (*_PUT, "s3:AbortMultipartUpload")


@dataclass(frozen=True)
class Permission:
    """Permission for `actions` on `resources`, ARNs in which `*` matches any characters, and its purpose."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    reason: str


def permissions(service: Service, names: Names, model: Model = MODEL) -> tuple[Permission, ...]:
    """The permissions of a service's task for the lake of a model."""
    stage = {"ingest": _ingest, "transform": _transform, "load": _load}[service]
    return *_every_service(service, names), *stage(names, model)


def _every_service(service: Service, names: Names) -> tuple[Permission, ...]:
    buckets: tuple[Purpose, ...] = ("ingest", "processed")
    queue = names.queue_arn(names.queue(service))
    queues = tuple(names.queue_arn(names.queue(one)) for one in SERVICES)
    dead_letters = tuple(names.queue_arn(names.dead_letters(one)) for one in SERVICES)
    records = _objects(names, "ingest", (keys.RUN_NUMBER, f"{_RUN}{keys.MANIFEST}", f"{_RUN}{keys.EMPTY}"))
    outcomes = _objects(names, "processed", (keys.RUN_NUMBER, f"{_RUN}*.json", f"{keys.VERIFICATIONS}*.json"))
    return (
        # For the whole bucket: without it, S3 answers a GetObject of a missing key with 403 instead of 404.
        Permission(("s3:ListBucket",), tuple(map(names.bucket_arn, buckets)), "finds runs; tells missing keys"),
        Permission(("s3:GetObject",), records + outcomes, "reads run records; readiness check"),
        Permission(_sqs("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"), (queue,), "consumes triggers"),
        Permission(_sqs("SendMessage"), (names.queue_arn(names.dead_letters(service)),), "dead-letters a message"),
        Permission(_sqs("SendMessage", "GetQueueAttributes"), queues, "console: queue depths and triggers"),
        Permission(
            _sqs("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"),
            dead_letters,
            "console: shows, redrives and discards dead letters",
        ),
    )


def _sqs(*verbs: str) -> tuple[str, ...]:
    return tuple(f"sqs:{verb}" for verb in verbs)


def _ingest(names: Names, model: Model) -> tuple[Permission, ...]:
    records = (keys.RUN_NUMBER, f"{_RUN}{keys.MANIFEST}", f"{_RUN}{keys.EMPTY}")
    return (
        Permission(_PUT, _objects(names, "ingest", records), "numbers and commits runs"),
        Permission(_UPLOAD, _objects(names, "ingest", _csv(model)), "writes the rows and key ranges of runs"),
        Permission(("s3:DeleteObject",), _objects(names, "ingest", _csv(model)), "removes the parts of a failed run"),
        Permission(("s3:GetObject",), _objects(names, "ingest", _csv(model)), "checks an upload whose answer was lost"),
    )


def _transform(names: Names, model: Model) -> tuple[Permission, ...]:
    records = (f"{_RUN}{keys.MANIFEST}", f"{_RUN}{keys.failure_name('transform')}")
    parts = (*_parquet(model), *_quarantine(model, model.tables))
    return (
        Permission(("s3:GetObject",), _objects(names, "ingest", _csv(model)), "reads ingest's rows and key ranges"),
        Permission(_PUT, _objects(names, "processed", parts), "writes warehouse rows and quarantine"),
        Permission(_PUT, _objects(names, "processed", records), "commits a run, or records its failure"),
        *_replays(names, "transform"),
    )


def _load(names: Names, model: Model) -> tuple[Permission, ...]:
    records = (f"{_RUN}{keys.LOAD}", f"{_RUN}{keys.failure_name('load')}", f"{keys.VERIFICATIONS}*.json")
    orphans = _quarantine(model, model.facts)
    quarantine = _quarantine(model, model.tables)
    return (
        Permission(
            ("s3:GetObject",),
            _objects(names, "ingest", _rows(model, model.sources, "csv")),
            "traces rows to their source rows",
        ),
        Permission(("s3:GetObject",), _objects(names, "processed", quarantine), "traces quarantined rows"),
        Permission(
            ("s3:GetObject",), _objects(names, "processed", _parquet(model)), "reads transform's rows and key ranges"
        ),
        Permission(_PUT, _objects(names, "processed", orphans), "quarantines facts with unresolved references"),
        Permission(_PUT, _objects(names, "processed", records), "records loads and verifications"),
        *_replays(names, "load"),
    )


def _replays(names: Names, stage: Service) -> tuple[Permission, ...]:
    record = _objects(names, "processed", (keys.replay_key(stage, "*"),))
    return (Permission(("s3:GetObject", *_PUT), record, "records the progress of a replay"),)


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
