"""The smoke test: one run from the source into the warehouse, then a verification."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from botocore.exceptions import ClientError

from totesys.lake import keys
from totesys.lake.records import Failure, LoadRecord, Manifest, RunCounter, VerificationRecord, parse_record
from totesys_infra.deploy.clients import code
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.failures import SmokeFailed
from totesys_infra.deploy.polling import Polling
from totesys_infra.deploy.tasks import start_task
from totesys_infra.names import PIPELINE, Purpose, Service

T = TypeVar("T")

# New tasks have to start, and the first extraction reads every row.
POLLING = Polling(timeout=1800, interval=3)
# Runs whose failures may be the reason of a dead letter.
LAST_RUNS = 20


@dataclass(frozen=True)
class Smoke:
    """A smoke test of the deployed release; `polling` applies to every wait."""

    deployment: Deployment
    polling: Polling = POLLING
    _trigger: str = field(default_factory=lambda: f"deploy-{secrets.token_hex(6)}")

    def run(self) -> None:
        """Trigger, wait until the run is in the warehouse, and verify. Raises SmokeFailed."""
        last = self._last_run()
        # Unlike a tick, a sweep waits for an extraction in progress and always produces a run.
        self._send("ingest", {"mode": "sweep", "trigger": self._trigger})
        self._say(f"triggered ingest ({self._trigger})")
        run = self._await("ingest", "committed no run", lambda: self._extracted(last))
        self._say(f"ingest committed run {run}")
        self._await("transform", f"did not transform run {run}", lambda: self._built(run))
        self._say(f"transform completed run {run}")
        loaded = self._await("load", f"did not load run {run}", lambda: self._loaded(run))
        self._say(f"load completed run {run}, {loaded.freshness:.1f} s after its snapshot")
        self._verify()

    def _verify(self) -> None:
        before = self._verifications()
        self._send("load", {"verify": True})
        self._say("triggered a verification")
        record = self._await(
            "load",
            "recorded no verification (which needs TOTESYS_SOURCE_DSN)",
            lambda: self._verified(before),
        )
        compared = sum(table.compared for table in record.tables.values())
        if not record.equal:
            wrong = ", ".join(
                f"{name}: {table.compared - table.equal} of {table.compared} rows"
                for name, table in record.tables.items()
                if not table.is_equal
            )
            raise SmokeFailed(
                f"The warehouse differs from the source ({wrong}). `totesys verify` shows the rows, "
                "`totesys verify --repair` loads them again."
            )
        self._say(f"the warehouse equals the source: {compared:,} rows")

    def _last_run(self) -> int:
        body = self._object("ingest", keys.RUN_NUMBER)
        return 0 if body is None else parse_record(RunCounter, keys.RUN_NUMBER, body).last

    def _extracted(self, after: int) -> int | None:
        """The last run of the extraction that this test triggered."""
        for key, _ in self._listed("ingest", keys.RUNS, keys.after_run(after)):
            found = keys.parse_record_key(key)
            if found is None or found[1] not in (keys.MANIFEST, keys.EMPTY):
                continue
            manifest = parse_record(Manifest, key, self._object("ingest", key) or b"")
            if manifest.trigger == self._trigger and manifest.complete:
                return manifest.run
        return None

    def _built(self, run: int) -> bool | None:
        return self._object("processed", keys.record_key(run, keys.MANIFEST)) is not None or None

    def _loaded(self, run: int) -> LoadRecord | None:
        key = keys.record_key(run, keys.LOAD)
        body = self._object("processed", key)
        if body is None:
            self._raise_failure("load", run)
            return None
        return parse_record(LoadRecord, key, body)

    def _raise_failure(self, service: Service, run: int) -> None:
        """Raise SmokeFailed if the service recorded a terminal failure of the run."""
        key = keys.record_key(run, keys.failure_name(service))
        body = self._object("processed", key)
        if body is not None and not (failure := parse_record(Failure, key, body)).transient:
            raise SmokeFailed(f"{service} failed on run {run}. {failure.title}: {failure.detail}")

    def _newest_failure(self, service: Service) -> str:
        """The reason of the newest failure that the service recorded of the last runs, if any."""
        listed = self._listed("processed", keys.RUNS, keys.after_run(max(0, self._last_run() - LAST_RUNS)))
        failed = [key for key, _ in listed if key.endswith(f"/{keys.failure_name(service)}")]
        if not failed:
            return ""
        failure = parse_record(Failure, failed[-1], self._object("processed", failed[-1]) or b"")
        return f" ({failure.title}: {failure.detail.rstrip('.')})"

    def _verifications(self) -> set[tuple[str, str]]:
        return set(self._listed("processed", keys.VERIFICATIONS))

    def _verified(self, before: set[tuple[str, str]]) -> VerificationRecord | None:
        for key, _ in self._verifications() - before:
            return parse_record(VerificationRecord, key, self._object("processed", key) or b"")
        return None

    def _await(self, service: Service, fault: str, found: Callable[[], T | None]) -> T:
        dead = self._depth(self.deployment.names.dead_letters(service))[0]

        def found_or_dead_lettered() -> T | None:
            it = found()
            if it is None and self._depth(self.deployment.names.dead_letters(service))[0] > dead:
                reason = self._newest_failure(service)
                raise SmokeFailed(f"{service} dead-lettered a message{reason}. {self._state(service)}")
            return it

        it = self.polling.until(found_or_dead_lettered)
        if it is None:
            raise SmokeFailed(f"{service} {fault} within {self.polling.timeout:g} s. {self._state(service)}")
        return it

    def _state(self, service: Service) -> str:
        """The state of its queues, and where to look."""
        names = self.deployment.names
        waiting, hidden = self._depth(names.queue(service))
        dead, _ = self._depth(names.dead_letters(service))
        return (
            f"Its queue {names.queue(service)} has {waiting} waiting messages and {hidden} in flight. "
            f"Check that the service runs. Its dead-letter queue has {dead} messages "
            f"(`totesys dlq list {service} --name {names.name}`). "
            f"Its log: aws logs tail {names.log_group(service)} --since 30m --region {names.region}"
        )

    def _depth(self, queue: str) -> tuple[int, int]:
        found = self.deployment.aws.sqs.get_queue_attributes(
            QueueUrl=self._url(queue),
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        visible, hidden = found["ApproximateNumberOfMessages"], found["ApproximateNumberOfMessagesNotVisible"]
        return int(visible), int(hidden)

    def _send(self, service: Service, message: dict[str, object]) -> None:
        url = self._url(self.deployment.names.queue(service))
        self.deployment.aws.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(message))
        if self.deployment.environment.preset.scheduled:
            # The next tick may be an hour away.
            start_task(self.deployment, PIPELINE)

    def _url(self, queue: str) -> str:
        return self.deployment.aws.sqs.get_queue_url(QueueName=queue)["QueueUrl"]

    def _listed(self, purpose: Purpose, prefix: str, after: str = "") -> list[tuple[str, str]]:
        """The keys below a prefix, each with its ETag."""
        pages = self.deployment.aws.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.deployment.names.bucket(purpose), Prefix=prefix, StartAfter=after
        )
        return [(found["Key"], found["ETag"]) for page in pages for found in page.get("Contents", [])]

    def _object(self, purpose: Purpose, key: str) -> bytes | None:
        bucket = self.deployment.names.bucket(purpose)
        try:
            return self.deployment.aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if code(error) in ("404", "NoSuchKey"):
                return None
            raise

    def _say(self, text: str) -> None:
        self.deployment.report(f"smoke: {text}")
