"""What triggers the lakehouse service, where an environment has one: a queue, and a rule for transform's commits."""

from typing import Protocol

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs

PARAMETER = "Lakehouse"
ON, OFF = "true", "false"


class Inbox(Protocol):
    """A service's queue with its dead-letter queue."""

    @property
    def queue(self) -> sqs.Queue: ...

    @property
    def dead_letters(self) -> sqs.Queue: ...

    def allow(self, service: str, source_arn: str) -> None:
        """Let an AWS service send for one source."""


def add_lakehouse_trigger(scope: cdk.Stack, processed: s3.Bucket, inbox: Inbox, commit_suffix: str) -> None:
    """Have each commit in the processed bucket queue a trigger for the lakehouse, if the parameter says so.

    S3 refuses two notifications for the same objects, and load has that one: so EventBridge passes the event on.
    """
    parameter = cdk.CfnParameter(
        scope,
        PARAMETER,
        default=OFF,
        allowed_values=[ON, OFF],
        description="Whether transform's commits also trigger the lakehouse service",
    )
    enabled = cdk.CfnCondition(scope, "HasLakehouse", expression=cdk.Fn.condition_equals(parameter.value_as_string, ON))
    rule = events.CfnRule(
        scope,
        "LakehouseCommit",
        name=cdk.Fn.sub("${Name}-lakehouse"),
        event_pattern={
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {
                "bucket": {"name": [cdk.Fn.sub("${Name}-processed")]},
                "object": {"key": [{"suffix": commit_suffix}]},
            },
        },
        # The event's content would change nothing.
        targets=[events.CfnRule.TargetProperty(arn=inbox.queue.queue_arn, id="trigger", input="{}")],
    )
    inbox.allow("events.amazonaws.com", rule.attr_arn)
    for construct in (inbox.queue, inbox.dead_letters, inbox.queue.node.find_child("Policy"),
                      inbox.dead_letters.node.try_find_child("Policy")):  # fmt: skip
        if construct is not None:
            _only_if(enabled, construct.node.default_child)
    _only_if(enabled, rule)
    _publish_events(processed, enabled)
    for key, value in (("QueueUrl", inbox.queue.queue_url), ("DlqUrl", inbox.dead_letters.queue_url)):
        output = cdk.CfnOutput(scope, f"Lakehouse{key}Output", value=value, condition=enabled)
        output.override_logical_id(f"Lakehouse{key}")


def _only_if(condition: cdk.CfnCondition, resource: object) -> None:
    assert isinstance(resource, cdk.CfnResource)
    resource.cfn_options.condition = condition


def _publish_events(bucket: s3.Bucket, condition: cdk.CfnCondition) -> None:
    resource = bucket.node.default_child
    assert isinstance(resource, s3.CfnBucket)
    resource.add_property_override(
        "NotificationConfiguration.EventBridgeConfiguration",
        {"Fn::If": [condition.logical_id, {"EventBridgeEnabled": True}, {"Ref": "AWS::NoValue"}]},
    )
