"""Checks of the data plane: buckets, their events, queues, dead-letter queues, schedules, S3's clock."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from totesys.errors import TotesysError
from totesys.stage_names import STAGES
from totesys_cli.data_plane_clients import aws_errors, client_options
from totesys_cli.doctor import judge
from totesys_cli.doctor.finding import Finding, FindingLevel, fail, failed, ok, unknown, warn
from totesys_cli.doctor.wiring import Notification, Redrive, Rule, wiring
from totesys_cli.options import DataPlaneLocation
from totesys_infra import data_plane_template

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# Short: somebody waits for the result.
_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2}, s3={"addressing_style": "path"})
_REDEPLOY = "Deploy the data plane again; for a local stack: `totesys local data-plane --endpoint …`."
_COUNTS: Sequence[Any] = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


def check_data_plane(location: DataPlaneLocation) -> list[Finding]:
    """All checks, with the caller's rights: on AWS the services have roles of their own."""
    expected = wiring(data_plane_template(), location.name)
    try:
        with aws_errors("AWS"):
            session, options = boto3.Session(), client_options(location)
            s3 = session.client("s3", config=_CONFIG, **options)
            sqs = session.client("sqs", config=_CONFIG, **options)
            events = session.client("events", config=_CONFIG, **options)
    except TotesysError as error:
        return [failed("lake settings", error)]
    reachable = _make("lake connection", partial(_connection, s3, location), "The lake")
    # A check of something that is missing is not made.
    needs = {
        **{f"events of {one.bucket}": f"bucket {one.bucket}" for one in expected.notifications},
        **{f"dead letters of {one.queue}": f"queue {one.queue}" for one in expected.redrives},
    }
    checks: dict[str, Callable[[], Finding]] = {
        **{f"bucket {one.bucket}": partial(_bucket, s3, one.bucket) for one in expected.notifications},
        **{f"events of {one.bucket}": partial(_notification, s3, one) for one in expected.notifications},
        **{f"queue {queue}": partial(_queue, sqs, queue) for queue in expected.queues},
        **{f"dead letters of {one.queue}": partial(_redrive, sqs, one) for one in expected.redrives},
        **{f"schedule {one.name}": partial(_rule, events, one) for one in expected.rules},
        "dead letters": partial(_dead_letters, sqs, location),
        "lake clock": partial(_clock, s3, location),
    }
    if reachable.level == FindingLevel.FAIL:
        return [reachable, *unknown(list(checks), "the lake does not respond")]
    return [reachable, *_all(checks, needs)]


def _all(checks: Mapping[str, Callable[[], Finding]], needs: Mapping[str, str]) -> Iterator[Finding]:
    findings: dict[str, Finding] = {}
    for name, check in checks.items():
        first = findings.get(needs.get(name, ""))
        if first and first.level == FindingLevel.FAIL:
            (findings[name],) = unknown([name], f"the {first.check} is missing")
        else:
            findings[name] = _make(name, check)
        yield findings[name]


def _make(name: str, check: Callable[[], Finding], what: str = "") -> Finding:
    try:
        with aws_errors(what or name):
            return check()
    except TotesysError as error:
        return failed(name, error)


def _connection(s3: "S3Client", location: DataPlaneLocation) -> Finding:
    # Any answer will do: the next checks report what it is.
    with suppress(ClientError):
        s3.head_bucket(Bucket=location.bucket("ingest"))
    return ok("lake connection", f"{s3.meta.endpoint_url} responds.")


def _bucket(s3: "S3Client", bucket: str) -> Finding:
    check = f"bucket {bucket}"
    try:
        s3.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except s3.exceptions.NoSuchBucket:
        return fail(check, f"The bucket {bucket} does not exist.", f"Correct --name. Or: {_REDEPLOY}")
    return ok(check, "It exists, and its objects can be listed.")


def _queue(sqs: "SQSClient", queue: str) -> Finding:
    check = f"queue {queue}"
    try:
        sqs.get_queue_url(QueueName=queue)
    except sqs.exceptions.QueueDoesNotExist:
        return fail(check, f"The queue {queue} does not exist.", _REDEPLOY)
    return ok(check, "It exists.")


def _notification(s3: "S3Client", wanted: Notification) -> Finding:
    check = f"events of {wanted.bucket}"
    found = s3.get_bucket_notification_configuration(Bucket=wanted.bucket).get("QueueConfigurations", [])
    fitting = [one for one in found if wanted.event in one["Events"] and _suffix(one) == wanted.suffix]
    if any(_name(one["QueueArn"]) == wanted.queue for one in fitting):
        return ok(check, f"A manifest in {wanted.bucket} triggers {wanted.queue}.")
    if fitting:
        others = ", ".join(_name(one["QueueArn"]) for one in fitting)
        return fail(check, f"A manifest in {wanted.bucket} triggers {others}, not {wanted.queue}.", _REDEPLOY)
    sentence = f"A manifest in {wanted.bucket} does not trigger {wanted.queue}, which only reconciles at times."
    return fail(check, sentence, _REDEPLOY)


def _redrive(sqs: "SQSClient", wanted: Redrive) -> Finding:
    check = f"dead letters of {wanted.queue}"
    url = sqs.get_queue_url(QueueName=wanted.queue)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"]).get("Attributes", {})
    policy = json.loads(found.get("RedrivePolicy", "{}"))
    target, receives = _name(policy.get("deadLetterTargetArn", "")), int(policy.get("maxReceiveCount", 0))
    if (target, receives) == (wanted.dead_letters, wanted.receives):
        return ok(check, f"After {receives} receives SQS moves a message to {target}.")
    how = f"goes to {target} after {receives} receives" if target else "never becomes a dead letter"
    return fail(
        check, f"A message of {wanted.queue} {how}, not to {wanted.dead_letters} after {wanted.receives}.", _REDEPLOY
    )


def _rule(events: "EventBridgeClient", wanted: Rule) -> Finding:
    check = f"schedule {wanted.name}"
    try:
        rule = events.describe_rule(Name=wanted.name)
    except events.exceptions.ResourceNotFoundException:
        return fail(check, f"The schedule {wanted.name} does not exist.", _REDEPLOY)
    targets = events.list_targets_by_rule(Rule=wanted.name)["Targets"]
    if not any(
        _name(target["Arn"]) == wanted.queue and _same(target.get("Input", ""), wanted.input) for target in targets
    ):
        return fail(check, f"The schedule {wanted.name} does not send {wanted.input} to {wanted.queue}.", _REDEPLOY)
    if rule["State"] != "ENABLED":
        remedy = "Deploy with ScheduleState ENABLED, or use `totesys trigger`."
        return warn(check, f"The schedule {wanted.name} is off.", remedy)
    return ok(check, f"It triggers {wanted.queue}, {rule.get('ScheduleExpression', '')}.")


def _dead_letters(sqs: "SQSClient", location: DataPlaneLocation) -> Finding:
    return judge.dead_letters({stage: _messages(sqs, location.dead_letter_queue(stage)) for stage in STAGES})


def _messages(sqs: "SQSClient", queue: str) -> int:
    try:
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        # Another check reports it.
        return 0
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=_COUNTS)["Attributes"]
    return sum(map(int, found.values()))


def _clock(s3: "S3Client", location: DataPlaneLocation) -> Finding:
    before = datetime.now(UTC)
    try:
        answer: Mapping[str, Any] = s3.head_bucket(Bucket=location.bucket("ingest"))
    except ClientError as error:
        # A refusal has the time too, and a wrong clock leads to one.
        answer = error.response
    after = datetime.now(UTC)
    # The header omits fractions of a second.
    there = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]) + timedelta(seconds=0.5)
    return judge.clock("lake", there - (before + (after - before) / 2), judge.SIGNATURE)


def _suffix(notification: Mapping[str, Any]) -> str:
    rules = notification.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    return next((rule["Value"] for rule in rules if rule["Name"].lower() == "suffix"), "")


def _name(arn: str) -> str:
    return arn.rpartition(":")[2]


def _same(found: str, wanted: str) -> bool:
    try:
        return bool(json.loads(found) == json.loads(wanted))
    except ValueError:
        return False
