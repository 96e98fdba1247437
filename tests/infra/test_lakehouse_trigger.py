"""What triggers the lakehouse, in an environment that has one."""

from typing import Any

import pytest

from tests.infra.lakehouse_condition import CONDITION, PARAMETER, resolved
from tests.infra.test_data_plane import arn, of_type, queue, queue_statements
from totesys_infra.stacks.cdk_app import data_plane


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return resolved(data_plane(), lakehouse=True)


def test_it_is_off_unless_the_parameter_turns_it_on() -> None:
    whole = data_plane()
    assert whole["Parameters"][PARAMETER]["Default"] == "false"
    assert whole["Conditions"][CONDITION] == {"Fn::Equals": [{"Ref": PARAMETER}, "true"]}
    without = resolved(whole, lakehouse=False)
    assert "akehouse" not in str(without)


def test_a_commit_of_transform_reaches_the_lakehouse_s_queue_through_eventbridge(template: dict[str, Any]) -> None:
    logical_id, resource = queue(template, "lakehouse")
    rule = of_type(template, "AWS::Events::Rule")["LakehouseCommit"]["Properties"]
    assert rule["Targets"] == [{"Arn": arn(logical_id), "Id": "trigger", "Input": "{}"}]
    assert rule["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {
            "bucket": {"name": [{"Fn::Sub": "${Name}-processed"}]},
            "object": {"key": [{"suffix": "manifest.json"}]},
        },
    }
    buckets = of_type(template, "AWS::S3::Bucket").values()
    published = [
        one for one in buckets if "EventBridgeConfiguration" in one["Properties"].get("NotificationConfiguration", {})
    ]
    assert [one["Properties"]["BucketName"] for one in published] == [{"Fn::Sub": "${Name}-processed"}]
    assert resource["Properties"]["RedrivePolicy"]["deadLetterTargetArn"] == arn(queue(template, "lakehouse-dlq")[0])


def test_only_that_rule_may_send_to_the_queue(template: dict[str, Any]) -> None:
    allowed = [one for one in queue_statements(template, "lakehouse") if one["Effect"] == "Allow"]
    (statement,) = allowed
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": arn("LakehouseCommit")}}
