"""The data plane: the buckets, queues, schedules and alerts that the services share wherever they run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from totesys.schema import Model
from totesys_infra.names import SERVICES
from totesys_infra.stacks.acknowledged import acknowledge
from totesys_infra.stacks.alerts import add_alerts
from totesys_infra.stacks.lakehouse_trigger import add_lakehouse_trigger
from totesys_infra.stacks.lifecycle import Lifecycle
from totesys_infra.stacks.tags import tag

COMMIT_SUFFIX = "manifest.json"
TICK = {"mode": "changes", "trigger": "schedule"}
SWEEP = {"mode": "sweep", "trigger": "schedule"}
VERIFY = {"verify": True}
RECEIVES_BEFORE_DEAD_LETTER = 5
# A bundle is read once by the image build, a template once by CloudFormation. A rollback reads releases, so they stay.
READ_ONCE = ("bundles/", "templates/")
READ_ONCE_DAYS = 30


@dataclass(frozen=True)
class _Inbox:
    """A service's queue with its dead-letter queue."""

    queue: sqs.Queue
    dead_letters: sqs.Queue

    def allow(self, service: str, source_arn: str, source_account: str | None = None) -> None:
        """Let an AWS service send for one source. A bucket's ARN has no account, so that is a condition too."""
        conditions = {"ArnEquals": {"aws:SourceArn": source_arn}}
        if source_account is not None:
            conditions["StringEquals"] = {"aws:SourceAccount": source_account}
        self.queue.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sqs:SendMessage"],
                principals=[iam.ServicePrincipal(service)],
                resources=[self.queue.queue_arn],
                conditions=conditions,
            )
        )


class DataPlaneStack(cdk.Stack):
    """Three buckets, three queues with dead-letter queues, two notifications, three schedules, and the alerts."""

    def __init__(self, scope: Construct, construct_id: str, model: Model) -> None:
        super().__init__(
            scope,
            construct_id,
            description="totesys data plane: buckets, queues, schedules and alerts",
            analytics_reporting=False,
        )
        self._parameters()
        ingest, transform, load = (self._inbox(service) for service in SERVICES)
        ingest_bucket = self._bucket("ingest", keep=True, announce_to=transform)
        processed_bucket = self._bucket("processed", keep=True, announce_to=load)
        code_bucket = self._bucket("code", keep=False)
        self._keep_versions(ingest_bucket, processed_bucket)
        add_lakehouse_trigger(self, processed_bucket, self._inbox("lakehouse"), COMMIT_SUFFIX)
        self._lifecycle(model, ingest_bucket, processed_bucket, code_bucket)
        self._schedule("Tick", "Schedule", ingest, TICK)
        self._schedule("Sweep", "SweepSchedule", ingest, SWEEP)
        self._schedule("Verify", "VerifySchedule", load, VERIFY)
        outputs = {
            "IngestBucket": ingest_bucket.bucket_name,
            "ProcessedBucket": processed_bucket.bucket_name,
            "CodeBucket": code_bucket.bucket_name,
        }
        for service, inbox in (("Ingest", ingest), ("Transform", transform), ("Load", load)):
            outputs[f"{service}QueueUrl"] = inbox.queue.queue_url
            outputs[f"{service}DlqUrl"] = inbox.dead_letters.queue_url
        outputs["AlertsTopic"] = add_alerts(self).topic_arn
        for key, value in outputs.items():
            cdk.CfnOutput(self, f"{key}Output", value=value).override_logical_id(key)
        tag(self, cdk.Fn.ref("Name"))

    def _parameters(self) -> None:
        cdk.CfnParameter(
            self,
            "Name",
            default="totesys",
            allowed_pattern="[a-z0-9][a-z0-9-]{0,39}",
            description="Prefix of the name of every bucket, queue and rule",
        )
        cdk.CfnParameter(self, "Schedule", default="rate(5 minutes)", description="Interval of extractions")
        cdk.CfnParameter(self, "SweepSchedule", default="rate(1 hour)", description="Interval of deletion sweeps")
        cdk.CfnParameter(self, "VerifySchedule", default="rate(1 day)", description="Interval of verifications")
        cdk.CfnParameter(self, "ScheduleState", default="ENABLED", allowed_values=["ENABLED", "DISABLED"])

    def _lifecycle(self, model: Model, ingest: s3.Bucket, processed: s3.Bucket, code: s3.Bucket) -> None:
        lake = Lifecycle(self, model)
        lake.apply(ingest, lake.incomplete_uploads(), lake.old_versions(), lake.tier(), *lake.expire_csv())
        # A rebuild needs every object, so none can expire.
        lake.apply(processed, lake.incomplete_uploads(), lake.old_versions(), lake.tier())
        lake.apply(code, lake.incomplete_uploads(), *(lake.expire(prefix, READ_ONCE_DAYS) for prefix in READ_ONCE))

    def _keep_versions(self, *buckets: s3.Bucket) -> None:
        """Keep what is overwritten or deleted for some time, if the parameter `Versioning` says so."""
        wanted = cdk.CfnParameter(
            self,
            "Versioning",
            default="false",
            allowed_values=["true", "false"],
            description="Whether the lake keeps deleted objects for some time",
        )
        condition = cdk.CfnCondition(
            self, "IsVersioned", expression=cdk.Fn.condition_equals(wanted.value_as_string, "true")
        )
        for bucket in buckets:
            resource = bucket.node.default_child
            assert isinstance(resource, s3.CfnBucket)
            resource.versioning_configuration = cdk.Fn.condition_if(
                condition.logical_id, {"Status": "Enabled"}, cdk.Fn.ref("AWS::NoValue")
            )

    def _inbox(self, service: str) -> _Inbox:
        dead_letters = sqs.Queue(
            self,
            f"{service.title()}Dlq",
            queue_name=cdk.Fn.sub(f"${{Name}}-{service}-dlq"),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
        )
        queue = sqs.Queue(
            self,
            f"{service.title()}Queue",
            queue_name=cdk.Fn.sub(f"${{Name}}-{service}"),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(4),
            visibility_timeout=cdk.Duration.seconds(60),
            receive_message_wait_time=cdk.Duration.seconds(20),
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=RECEIVES_BEFORE_DEAD_LETTER),
        )
        return _Inbox(queue, dead_letters)

    def _bucket(self, purpose: str, *, keep: bool, announce_to: _Inbox | None = None) -> s3.Bucket:
        name = cdk.Fn.sub(f"${{Name}}-{purpose}")
        bucket = s3.Bucket(
            self,
            f"{purpose.title()}Bucket",
            bucket_name=name,
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            removal_policy=cdk.RemovalPolicy.RETAIN if keep else cdk.RemovalPolicy.DESTROY,
        )
        acknowledge(bucket, "S1", "Only roles of this environment may use it, and they log what they do.")
        if announce_to is not None:
            self._announce_commits(bucket, f"${{Name}}-{purpose}", announce_to)
        return bucket

    def _announce_commits(self, bucket: s3.Bucket, name: str, inbox: _Inbox) -> None:
        # The ARN is spelled out: the bucket depends on the policy, and a reference back would be a cycle. The CDK's own
        # way would add a Lambda function.
        arn = cdk.Fn.sub(f"arn:${{AWS::Partition}}:s3:::{name}")
        inbox.allow("s3.amazonaws.com", arn, cdk.Aws.ACCOUNT_ID)
        resource = bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[
                s3.CfnBucket.QueueConfigurationProperty(
                    event="s3:ObjectCreated:*",
                    queue=inbox.queue.queue_arn,
                    filter=s3.CfnBucket.NotificationFilterProperty(
                        s3_key=s3.CfnBucket.S3KeyFilterProperty(
                            rules=[s3.CfnBucket.FilterRuleProperty(name="suffix", value=COMMIT_SUFFIX)]
                        )
                    ),
                )
            ]
        )
        bucket.node.add_dependency(inbox.queue.node.find_child("Policy"))

    def _schedule(self, name: str, parameter: str, inbox: _Inbox, message: Mapping[str, object]) -> None:
        rule = events.CfnRule(
            self,
            name,
            name=cdk.Fn.sub(f"${{Name}}-{name.lower()}"),
            schedule_expression=cdk.Fn.ref(parameter),
            state=cdk.Fn.ref("ScheduleState"),
            targets=[events.CfnRule.TargetProperty(arn=inbox.queue.queue_arn, id="wake-up", input=json.dumps(message))],
        )
        inbox.allow("events.amazonaws.com", rule.attr_arn)
