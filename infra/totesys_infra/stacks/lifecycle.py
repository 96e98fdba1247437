"""What becomes of objects as they grow old, by the parameters of the data plane."""

from collections.abc import Iterator
from typing import get_args

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3

from totesys.lake.keys import KEYS
from totesys.model import MODEL
from totesys_infra.environment import Days

# Below this, monitoring costs more than a cheaper tier saves; S3 would leave it where it is, too.
TIERED_BYTES = 128 * 1024
DAYS = tuple(map(str, get_args(Days)))
NEVER = DAYS[0]

Rule = s3.CfnBucket.RuleProperty | cdk.ICfnRuleConditionExpression


class Lifecycle:
    """The rules that a bucket can have. Makes the parameters and conditions that they depend on."""

    def __init__(self, scope: cdk.Stack) -> None:
        self._tier = _days(scope, "TierDays", "After how many days objects of the lake go to Intelligent-Tiering")
        self._csv = _days(scope, "CsvDays", "After how many days the CSV of the source expires")

    def apply(self, bucket: s3.Bucket, *rules: Rule) -> None:
        """Give a bucket these rules."""
        resource = bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)
        resource.lifecycle_configuration = s3.CfnBucket.LifecycleConfigurationProperty(rules=list(rules))

    def broken_off(self) -> Rule:
        """Of an upload that was broken off, remove what is left: invisible, but paid for."""
        return s3.CfnBucket.RuleProperty(
            status="Enabled",
            abort_incomplete_multipart_upload=s3.CfnBucket.AbortIncompleteMultipartUploadProperty(
                days_after_initiation=1
            ),
        )

    def expire(self, prefix: str, days: int) -> Rule:
        """Remove the objects below a prefix after so many days."""
        return s3.CfnBucket.RuleProperty(status="Enabled", prefix=prefix, expiration_in_days=days)

    def tier(self) -> Rule:
        """Move large objects to the class that finds the cheapest tier itself: to read them costs nothing more."""
        days, enabled = self._tier
        rule = {
            "Status": "Enabled",
            "ObjectSizeGreaterThan": str(TIERED_BYTES),
            "Transitions": [{"StorageClass": "INTELLIGENT_TIERING", "TransitionInDays": days.value_as_number}],
        }
        return _only_if(enabled, rule)

    def expire_csv(self) -> Iterator[Rule]:
        """Remove what ingest wrote of the source, but never a run's records: ingest goes on from them."""
        days, enabled = self._csv
        folders = {MODEL.lake_schema(source) for source in MODEL.sources}
        for prefix in (*(f"{folder}/" for folder in sorted(folders)), KEYS):
            rule = {"Status": "Enabled", "Prefix": prefix, "ExpirationInDays": days.value_as_number}
            yield _only_if(enabled, rule)


def _days(scope: cdk.Stack, name: str, description: str) -> tuple[cdk.CfnParameter, cdk.CfnCondition]:
    parameter = cdk.CfnParameter(
        scope,
        name,
        type="Number",
        default=NEVER,
        allowed_values=list(DAYS),
        description=f"{description}; 0: never",
    )
    is_set = cdk.Fn.condition_not(cdk.Fn.condition_equals(parameter.value_as_string, NEVER))
    return parameter, cdk.CfnCondition(scope, f"Has{name}", expression=is_set)


def _only_if(condition: cdk.CfnCondition, rule: object) -> cdk.ICfnRuleConditionExpression:
    return cdk.Fn.condition_if(condition.logical_id, rule, cdk.Fn.ref("AWS::NoValue"))
