"""The lifecycle rules of the buckets, set by parameters of the data plane."""

from collections.abc import Iterator
from typing import get_args

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3

from totesys.lake.keys import KEYS
from totesys.schema import Model
from totesys_infra.settings_sections import Days

# Below this size, monitoring costs more than a cheaper tier saves, and S3 does not tier.
TIERED_BYTES = 128 * 1024
KEPT_VERSION_DAYS = 30
DAYS = tuple(map(str, get_args(Days)))
NEVER = DAYS[0]

Rule = s3.CfnBucket.RuleProperty | cdk.ICfnRuleConditionExpression


class Lifecycle:
    """The rules that a bucket can have, with the parameters and conditions that they depend on."""

    def __init__(self, scope: cdk.Stack, model: Model) -> None:
        self._model = model
        self._tier = _days(scope, "TierDays", "Days until lake objects move to Intelligent-Tiering")
        self._csv = _days(scope, "CsvDays", "Days until the source's CSV expires")

    def apply(self, bucket: s3.Bucket, *rules: Rule) -> None:
        """Give a bucket these rules."""
        resource = bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)
        resource.lifecycle_configuration = s3.CfnBucket.LifecycleConfigurationProperty(rules=list(rules))

    def incomplete_uploads(self) -> Rule:
        """Remove incomplete uploads, which are invisible but billed."""
        return s3.CfnBucket.RuleProperty(
            status="Enabled",
            abort_incomplete_multipart_upload=s3.CfnBucket.AbortIncompleteMultipartUploadProperty(
                days_after_initiation=1
            ),
        )

    def old_versions(self) -> Rule:
        """Remove what was overwritten or deleted a month ago. Only a versioned bucket has such objects."""
        return s3.CfnBucket.RuleProperty(
            status="Enabled",
            noncurrent_version_expiration=s3.CfnBucket.NoncurrentVersionExpirationProperty(
                noncurrent_days=KEPT_VERSION_DAYS
            ),
        )

    def expire(self, prefix: str, days: int) -> Rule:
        """Remove the objects below a prefix after this many days."""
        return s3.CfnBucket.RuleProperty(status="Enabled", prefix=prefix, expiration_in_days=days)

    def tier(self) -> Rule:
        """Move large objects to Intelligent-Tiering, which has no retrieval charge."""
        days, enabled = self._tier
        rule = {
            "Status": "Enabled",
            "ObjectSizeGreaterThan": str(TIERED_BYTES),
            "Transitions": [{"StorageClass": "INTELLIGENT_TIERING", "TransitionInDays": days.value_as_number}],
        }
        return _only_if(enabled, rule)

    def expire_csv(self) -> Iterator[Rule]:
        """Remove the source's CSV, but no run records: ingest continues from them."""
        days, enabled = self._csv
        folders = {self._model.lake_schema(source) for source in self._model.sources}
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
        description=f"{description}; 0 for never",
    )
    is_set = cdk.Fn.condition_not(cdk.Fn.condition_equals(parameter.value_as_string, NEVER))
    return parameter, cdk.CfnCondition(scope, f"Has{name}", expression=is_set)


def _only_if(condition: cdk.CfnCondition, rule: object) -> cdk.ICfnRuleConditionExpression:
    return cdk.Fn.condition_if(condition.logical_id, rule, cdk.Fn.ref("AWS::NoValue"))
